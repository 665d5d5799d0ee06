import { randomBytes } from 'node:crypto'
import { NetworkConfigError } from './network-errors.ts'

const header = '/key/swarm/psk/1.0.0/'
const encoding = '/base16/'
const keyBytes = 32

/**
 * Checks the content of a `swarm.key` file and returns it in the one form that libp2p reads
 *
 * The format is kubo's: three lines, `/key/swarm/psk/1.0.0/`, `/base16/` and 64 hexadecimal digits.
 *
 * @throws NetworkConfigError if it is anything else; the message never holds the key
 * @see https://github.com/libp2p/specs/blob/master/pnet/Private-Networks-PSK-V1.md
 */
export function parseSwarmKey(content: Uint8Array): Uint8Array {
  const lines = new TextDecoder()
    .decode(content)
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '')

  if (lines[0] !== header) {
    throw new NetworkConfigError(`the swarm key must begin with the line ${header}`)
  }

  if (lines[1] !== encoding) {
    throw new NetworkConfigError(`the second line of the swarm key must be ${encoding}`)
  }

  const key = lines[2] ?? ''

  if (lines.length !== 3 || !/^[0-9a-f]+$/i.test(key) || key.length !== keyBytes * 2) {
    throw new NetworkConfigError(`the third and last line of the swarm key must be ${keyBytes * 2} hexadecimal digits`)
  }

  return new TextEncoder().encode(`${header}\n${encoding}\n${key.toLowerCase()}`)
}

/** The content of a `swarm.key` file with a new key */
export function makeSwarmKey(): string {
  return `${header}\n${encoding}\n${randomBytes(keyBytes).toString('hex')}\n`
}
