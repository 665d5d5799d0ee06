import type { Request, RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'
import { parseMediaType } from '../../oci/manifest/media-types.ts'
import type { BodyMemory } from '../bodies/body-memory.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { readBody } from '../bodies/whole-body.ts'

const maxBodyBytes = 16 * 1024

/** Reads the JSON object in the body of a request; throws OciError REQUEST_INVALID if it is not JSON */
export type JsonReader = (req: Request) => Promise<Record<string, unknown>>

export function jsonReader(bodies: BodyMemory, bodyRate: BodyRate, maxBytes = maxBodyBytes): JsonReader {
  return async req => {
    using body = await readBody(req, {
      maxBytes,
      tooLarge: 'BODY_TOO_LARGE',
      rate: bodyRate,
      memory: bodies,
    })
    return parseBody(body.bytes)
  }
}

/**
 * Refuses other types than JSON. The form of a web page can't send JSON without asking this server first (CORS), and is
 * refused then.
 */
export const requireJson: RequestHandler = (req, _res, next) => {
  if (parseMediaType(req.get('Content-Type')) !== 'application/json') {
    throw invalid('Content-Type must be application/json')
  }
  next()
}

/** The error of a request whose content is not as it should be */
export function invalid(reason: string, cause?: unknown): OciError {
  return new OciError('REQUEST_INVALID', { detail: { reason }, cause })
}

function parseBody(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch (err) {
    throw invalid('the body is not JSON', err)
  }
}
