import { isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { text, wholeNumber } from './keys.ts'

/* The kinds of text that several keys take, with what is said about other values */

export const networks = ['offline', 'lan', 'private', 'public'] as const
export const logLevels = ['error', 'warn', 'info', 'debug'] as const

export const hostText = text(/^[A-Za-z0-9._:%-]{1,255}$/, 'must be a host name or an IP address')
export const ipText = z
  .string({ error: 'must be an IP address' })
  .refine(value => isIP(value) !== 0, { error: 'must be an IP address' })
// a line break means that somebody gave the content of a key instead of its path
export const pathText = text(/^[^\0\r\n]+$/, 'must be a path')
export const glob = text(/^[^\s,]{1,255}$/, 'must be a repository or a glob such as library/*')
export const port = wholeNumber(0, 65_535)
export const address = z.string({ error: 'must be a multiaddr' }).refine(value => protocolsOf(value) !== undefined, {
  error: 'must be a multiaddr such as /ip4/192.0.2.1/tcp/4001',
})
export const peerAddress = z
  .string({ error: 'must be a multiaddr' })
  .refine(value => protocolsOf(value)?.includes('p2p'), {
    error: "must be a multiaddr with the peer's id, such as /ip4/192.0.2.1/tcp/4001/p2p/<peer id>",
  })

export const resolver = text(
  /^(file:.+|\/?ip[fn]s\/.+|[^/:]+\.[^/:]+(\/.*)?)$/s,
  'must be file:<directory>, /ipfs/<cid>, /ipns/<name> or a domain',
)
export const dnsServer = z
  .string({ error: 'must be an IP address' })
  .refine(value => isIP(value) !== 0 || isAddressWithPort(value), {
    error: 'must be an IP address, or one with a port such as 192.0.2.53:5353 or [2001:db8::53]:5353',
  })
export const hostAddress = text(
  /^(https?:\/\/[^\s@]+|\/[^\s]+|[^\s/:@]+(:\d+)?|\[[^\s]+\](:\d+)?)$/,
  'must be host:port, an http or https URL or a multiaddr, without a password',
)
export const browserHost = text(
  /^(?=.{1,255}$)(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/i,
  'must be a host name such as registry.example or *.registry.example, without a scheme or a port',
)
export const gatewayUrl = z.string({ error: 'must be a URL' }).refine(isPlainUrl, {
  error: 'must be an http or https URL such as https://gateway.example, without a password',
})

export const yesOrNo = z.boolean({ error: 'must be true or false' })

function isPlainUrl(value: string): boolean {
  const { protocol = '', username, password } = URL.parse(value) ?? {}
  return /^https?:$/.test(protocol) && username === '' && password === ''
}

function isAddressWithPort(value: string): boolean {
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? []
  return isIP(six ?? four ?? '') === (six === undefined ? 4 : 6) && Number(port) > 0 && Number(port) < 65_536
}

function protocolsOf(value: string): string[] | undefined {
  try {
    const components = multiaddr(value).getComponents()
    return components.length === 0 ? undefined : components.map(({ name }) => name)
  } catch {
    return undefined
  }
}
