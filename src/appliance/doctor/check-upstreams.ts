import type { Config } from '../../config/schema.ts'
import type { ProbedUpstream } from '../../upstream/probe-upstream.ts'
import { listedOf } from '../checks/upstream-inputs.ts'
import type { OtherClock } from './check-clock.ts'
import { bounded, TimeLimitError } from './bounded.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

const second = 1000
/** For all that is asked of one upstream */
const limit = 5 * second

export interface CheckedUpstreams {
  findings: Finding[]
  clocks: OtherClock[]
}

/** Asks all upstreams at the same time */
export async function checkUpstreams({ upstreams }: Config, signal: AbortSignal): Promise<CheckedUpstreams> {
  const checked = await Promise.all(upstreams.map(async upstream => await checkUpstream(upstream, signal)))
  return { findings: checked.flatMap(({ findings }) => findings), clocks: checked.flatMap(({ clocks }) => clocks) }
}

async function checkUpstream(upstream: Config['upstreams'][number], signal: AbortSignal): Promise<CheckedUpstreams> {
  const { name, url } = upstream
  const check = `upstream ${name}`
  try {
    const [{ probeUpstream }, listed] = await Promise.all([
      import('../../upstream/probe-upstream.ts'),
      bounded(async () => await listedOf(upstream), { limit, signal }),
    ])
    const probed = await bounded(async end => await probeUpstream(listed, { signal: end }), { limit, signal })
    const clocks = probed.skew === undefined ? [] : [{ whose: `upstream ${name}`, skew: probed.skew }]
    return { findings: [verdict(check, url, probed)], clocks }
  } catch (err) {
    signal.throwIfAborted()
    return { findings: [failure(check, url, err)], clocks: [] }
  }
}

function verdict(check: string, url: string, { hasLogIn, status, took, wantsLogIn }: ProbedUpstream): Finding {
  const answers = `${url} answered in ${Math.round(took)} ms`
  if (status === 200) {
    const logIn = !hasLogIn ? '' : wantsLogIn ? ' and takes the log-in' : ' without asking for the log-in'
    return ok(check, answers + logIn)
  }
  if (status === 401 || status === 403) {
    return hasLogIn
      ? wrong(check, `${url} refuses the log-in (${status})`, 'Renew the log-in in credentials or credentialHelper.')
      : wrong(check, `${url} wants a log-in (${status})`, 'Set credentials or credentialHelper of this upstream.')
  }
  if (status === 429) {
    return warning(check, `${url} is asked too often (429)`, 'Wait, or configure a log-in, for which more is allowed.')
  }
  return status >= 500
    ? wrong(check, `${url} does not work: it answered ${status}`, 'Try again later, or ask whoever runs it.')
    : wrong(check, `${url} answered ${status}, which no registry does`, 'Correct the url of this upstream.')
}

function failure(check: string, url: string, err: unknown): Finding {
  if (err instanceof TimeLimitError) {
    return wrong(check, `${url} does not answer within ${limit / second} s`, 'Look at the network and at a firewall.')
  }
  const code = codesOf(err).find(isOfTls)
  return code === undefined
    ? wrong(check, (err as Error).message, 'Look at whether the address is right and can be reached from this machine.')
    : wrong(check, `the certificate of ${url} is refused: ${code}`, adviceFor(code))
}

function adviceFor(code: string): string {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return 'It has to be renewed there; look at the clock of this machine, too.'
  }
  return code === 'ERR_TLS_CERT_ALTNAME_INVALID'
    ? 'Use the host name that the certificate is for in the url of this upstream.'
    : 'If an authority of your own signed it, name its certificate in the ca of this upstream.'
}

function isOfTls(code: string): boolean {
  return /CERT|TLS|SSL|LEAF_SIGNATURE/.test(code)
}

/** Codes of the error and of those that caused it */
function codesOf(err: unknown): string[] {
  if (!(err instanceof Error)) {
    return []
  }
  const { code } = err as NodeJS.ErrnoException
  return [...(typeof code === 'string' ? [code] : []), ...codesOf(err.cause)]
}
