import { ClientError } from '../../remote/errors.ts'
import { jsonOf, requireStatus } from '../../remote/http/answer.ts'
import type { SendInit } from '../../remote/http/request.ts'
import { networkTimeout } from '../timeouts.ts'
import type { Connection } from './appliance-client.ts'

/**
 * Asks an appliance for a JSON object
 *
 * @param path below `/ipdr/v1/`
 * @throws ResponseError, ClientError
 */
export async function askJson(connection: Connection, path: string, what: string, init: SendInit): Promise<unknown> {
  const answer = await connection.request(`/ipdr/v1/${path}`, { timeout: networkTimeout, ...init })
  await requireStatus(answer, what)
  const value = await jsonOf(answer)
  if (typeof value !== 'object' || value === null) {
    throw new ClientError(`${connection.host} is not an IPDR appliance: its answer is no JSON object`)
  }
  return value
}

/** A POST of JSON */
export function jsonBody(value: unknown): SendInit {
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: new TextEncoder().encode(JSON.stringify(value)),
  }
}
