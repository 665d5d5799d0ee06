import { ClientError } from '../errors.ts'
import { isLoopback } from './plain-http.ts'

/**
 * The URL of a host as users write it: `host`, `host:port`, or either after `http://` or `https://`. Without a scheme
 * it is HTTP for `localhost` and loopback addresses, and wherever `plainHttp` allows it; else HTTPS.
 *
 * @param what the host of what, in the error message: `an appliance`
 * @throws ClientError if it is no host
 */
export function hostUrl(host: string, plainHttp: boolean, what: string): URL {
  const [, scheme, rest = ''] = /^(https?:\/\/)?([^/?#@\\]+)\/?$/i.exec(host) ?? []
  const url = URL.parse(`http://${rest}`)
  if (url === null) {
    throw new ClientError(`"${host}" is not the host of ${what}`, {
      hint: 'A host is written like localhost:5000, registry.example or http://registry.example:5000.',
    })
  }
  return new URL(`${scheme ?? (plainHttp || isLoopback(url.hostname) ? 'http://' : 'https://')}${rest}`)
}
