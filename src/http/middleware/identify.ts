import type { RequestHandler, Response } from 'express'
import type { Access } from '../../access/access.ts'
import type { Caller } from '../../access/caller.ts'
import { credentialsOf } from '../credentials.ts'
import { addLogFields } from './request-log.ts'
import { sessionOf } from './session.ts'

/** Finds out who asks, once per request and before anything of a body is read */
export function identify({ access }: { access: Access }): RequestHandler {
  return (req, res, next) => {
    const goOn = (caller: Caller): void => {
      res.locals.caller = caller
      if (caller.name !== undefined) {
        addLogFields(res, { user: caller.name })
        // what one caller may see is not for a cache that others read from
        res.setHeader('Vary', 'Authorization, Cookie')
      }
      next()
    }
    const caller = access.caller(credentialsOf(req, access, sessionOf(req, access)))
    return caller instanceof Promise ? caller.then(goOn) : goOn(caller)
  }
}

export function callerOf(res: Response): Caller {
  return res.locals.caller
}
