import type { Request } from 'express'
import type { Access } from '../access/access.ts'
import type { Credentials } from '../access/authenticator.ts'
import type { AccessObserver } from '../access/observer.ts'
import { challengeOf } from './challenge.ts'
import { certificateName } from './client-certificates.ts'

/** Of requests that are being observed; a WeakMap, so that others pay nothing */
const observers = new WeakMap<Request, AccessObserver[]>()

/** Has somebody told what is found out about a request */
export function observeAccess(req: Request, observer: AccessObserver): void {
  observers.set(req, [...(observers.get(req) ?? []), observer])
}

/** What a client shows of itself, before anything of a body is read */
export function credentialsOf(req: Request, access: Pick<Access, 'tokenUrl'>): Credentials {
  return {
    authorization: req.get('Authorization'),
    address: req.socket.remoteAddress,
    certificate: certificateName(req),
    challenge: challengeOf(req, access),
    observer: observerOf(req),
  }
}

function observerOf(req: Request): AccessObserver | undefined {
  const all = observers.get(req)
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
