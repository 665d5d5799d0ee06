import type { Request, RequestHandler, Response } from 'express'
import type { AccessObserver } from '../../access/rules/observer.ts'
import { observeAccess } from '../credentials.ts'
import { leaveUnread } from '../bodies/late-body.ts'
import { TrafficMeter } from '../traffic-meter.ts'
import { accountOf, type Account, type UsageLimits } from '../usage-limits.ts'

/** Has whoever asks pay for his requests and their bytes, once it is known who that is */
export function limitUsage(limits: UsageLimits): RequestHandler {
  const meter = new TrafficMeter()
  return (req, res, next) => {
    const address = req.socket.remoteAddress
    const admit = (account: Account): void => {
      try {
        limits.admit(account)
      } catch (err) {
        refuseBody(req, res)
        throw err
      }
      meter.measure(req, res, bytes => {
        limits.charge(account, bytes)
      })
    }
    const observer: AccessObserver = {
      identified: identity => {
        admit(accountOf(identity, address))
      },
      failed: () => {
        admit(accountOf({ kind: 'anonymous', name: '' }, address))
      },
    }
    observeAccess(res, observer)
    next()
  }
}

/** To read a body only to throw it away would cost the others more than who sends it */
function refuseBody(req: Request, res: Response): void {
  if (req.get('Transfer-Encoding') === undefined && Number(req.get('Content-Length') ?? 0) === 0) {
    return
  }
  leaveUnread(req)
  if (req.httpVersionMajor === 1) {
    res.set('Connection', 'close')
  }
}
