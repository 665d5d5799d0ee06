import type { Request } from 'express'
import type { Access, Credentials } from '../access/access.ts'
import { challengeOf } from './challenge.ts'

/** What a client shows of itself, before anything of a body is read */
export function credentialsOf(req: Request, access: Pick<Access, 'tokenUrl'>): Credentials {
  return {
    authorization: req.get('Authorization'),
    address: req.socket.remoteAddress,
    challenge: challengeOf(req, access),
  }
}
