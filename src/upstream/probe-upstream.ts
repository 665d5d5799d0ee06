import type { AbortOptions } from '../remote/abort-options.ts'
import { ResponseError } from '../remote/errors.ts'
import type { Answer } from '../remote/http/answer.ts'
import { clockSkew } from '../remote/http/clock-skew.ts'
import { send } from '../remote/http/request.ts'
import { RegistryAuth } from '../remote/registry/registry-auth.ts'
import { Connections } from './connections.ts'
import { storedCredentials } from './stored-credentials.ts'
import type { ListedUpstream } from './upstreams.ts'

export interface ProbedUpstream {
  /** Of the last answer: 200 from a registry that lets us in */
  status: number
  /** Milliseconds until all of this was known */
  took: number
  /** By how much its clock is ahead of ours, see {@link clockSkew} */
  skew: number | undefined
  /** Whether a log-in is configured */
  hasLogIn: boolean
  /** Whether it asked for one */
  wantsLogIn: boolean
}

/**
 * Asks a registry whether it is there and takes the log-in that is configured for it
 *
 * @throws ClientError where it does not answer, or the log-in can't be read
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support
 */
export async function probeUpstream(
  { credentials, name, url, ...listed }: ListedUpstream,
  { signal }: AbortOptions,
): Promise<ProbedUpstream> {
  const connections = new Connections({ ...listed, url })
  const transport = { fetch: connections.fetch, signal }
  const ask = async (headers: Record<string, string>): Promise<Answer> => {
    const answer = await send(new URL('/v2/', url), { ...transport, headers, plainHttp: url.protocol === 'http:' })
    await answer.discard()
    return answer
  }
  try {
    const [sent, began] = [Date.now(), performance.now()]
    const first = await ask({})
    const skew = clockSkew(first.headers, sent, Date.now())
    // read once, and after the answer: that a registry is down is told before a log-in that can't be read
    const stored = await storedCredentials(credentials, [url.host, name])
    const auth = new RegistryAuth(async () => stored)
    const challenge = first.headers.get('WWW-Authenticate')
    const wantsLogIn = first.status === 401 && challenge !== null
    const status = wantsLogIn ? await logIn(auth, { challenge, url }, transport, ask) : first.status
    return { status, skew, wantsLogIn, hasLogIn: stored !== undefined, took: performance.now() - began }
  } finally {
    await connections.close()
  }
}

/** @returns the status of the answer with a log-in */
async function logIn(
  auth: RegistryAuth,
  { challenge, url }: { challenge: string; url: URL },
  transport: AbortOptions & { fetch: typeof fetch },
  ask: (headers: Record<string, string>) => Promise<Answer>,
): Promise<number> {
  try {
    if (!(await auth.answer(challenge, [], url, transport))) {
      return 401
    }
  } catch (err) {
    if (err instanceof ResponseError) {
      // of the server for tokens
      return err.status
    }
    throw err
  }
  return (await ask({ Authorization: auth.header([]) ?? '' })).status
}
