import type { Request, Response } from 'express'
import type { Access } from '../access/access.ts'
import type { Credentials } from '../access/log-in/authenticator.ts'
import type { AccessObserver } from '../access/rules/observer.ts'
import { challengeOf } from './challenge.ts'
import { certificateName } from './client-certificates.ts'

/**
 * Has somebody told what is found out about a request. It is noted at the response and not in a WeakMap: where a value
 * leads to its key, as an observer leads to its request, V8 keeps both until its next full collection, so each request
 * would become old garbage.
 */
export function observeAccess(res: Response, observer: AccessObserver): void {
  const { locals } = res
  locals.observers = [...((locals.observers as AccessObserver[] | undefined) ?? []), observer]
}

/** What a client shows of itself, before anything of a body is read */
export function credentialsOf(req: Request, access: Pick<Access, 'tokenUrl'>, session?: string): Credentials {
  return {
    authorization: req.headers.authorization,
    address: req.socket.remoteAddress,
    certificate: certificateName(req),
    session,
    challenge: challengeOf(req, access),
    observer: observerOf(req.res),
  }
}

function observerOf(res: Response | undefined): AccessObserver | undefined {
  const all = res?.locals.observers as AccessObserver[] | undefined
  return (
    all && {
      identified: identity => {
        all.forEach(observer => observer.identified?.(identity))
      },
      failed: claimed => {
        all.forEach(observer => observer.failed?.(claimed))
      },
      decided: (question, decision) => {
        all.forEach(observer => observer.decided?.(question, decision))
      },
    }
  )
}
