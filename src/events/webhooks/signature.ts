import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'

/** Bytes of a secret, as the specification allows them */
const [minBytes, maxBytes] = [24, 64]
const maxSecrets = 5

export class SecretError extends Error {
  static readonly name = 'SecretError'
  readonly name = 'SecretError'
}

/**
 * Reads the secrets by which a webhook is signed, one a line: while one is replaced by another, both sign
 *
 * @throws SecretError, which does not show what the file holds; Error of the file system
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export async function readSecrets(path: string): Promise<Buffer[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter(line => line.trim() !== '')
  const secrets = lines.map(line => /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(line.trim())?.[1] ?? '')
  const keys = secrets.map(secret => Buffer.from(secret, 'base64'))
  if (
    keys.length === 0 ||
    keys.length > maxSecrets ||
    keys.some(key => key.length < minBytes || key.length > maxBytes)
  ) {
    throw new SecretError(
      `must hold whsec_ and the base64 of ${minBytes} to ${maxBytes} bytes, on at most ${maxSecrets} lines`,
    )
  }
  return keys
}

/**
 * The headers that tell a receiver which event it is, and that it is from here and new
 *
 * @param time of this attempt; milliseconds
 * @param keys none: the event is not signed
 */
export function webhookHeaders(
  id: string,
  time: number,
  body: string,
  keys: readonly Uint8Array[],
): Record<string, string> {
  const timestamp = String(Math.floor(time / 1000))
  const signatures = keys.map(
    key => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  )
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    ...(signatures.length === 0 ? {} : { 'webhook-signature': signatures.join(' ') }),
  }
}
