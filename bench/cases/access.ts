import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import type { Identity } from '../../src/access/rules/identity.ts'
import { Rules, type Rule } from '../../src/access/rules/rules.ts'
import type { Bench, Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { nativeRate } from '../native.ts'
import { cpuSeconds } from '../process-usage.ts'
import { manifestType, pushSmallImage } from '../small-image.ts'
import { Server } from '../server.ts'
import type { Launcher } from '../targets/target.ts'

const repository = 'bench/access'
const [few, many] = [10, 10_000] as const
/** Decisions of one measurement, after as many that warm up, and measurements */
const decisions = 20_000
const turns = 9
const connections = 32
const second = 1000
const [user, password] = ['bench', 'a password']

/** By what the rules of a file differ: one of them is for the one who asks */
export const kinds = ['user', 'repository', 'network'] as const

export function decisionName(kind: (typeof kinds)[number]): string {
  return `decision among ${many} rules beside ${few}, each for another ${kind}`
}

export const withToken = 'manifest GET with a token beside without'

/** What rules and a log-in cost: a decision among many rules, a pull with a token; each as a ratio within a round */
export const access: Case = {
  name: 'access',
  run: async bench => {
    // ours, in this process
    await bench.inTurn([{ name: 'ipdr' }], async () => kinds.map(decisionSample))
    await bench.inTurn(bench.launchers('ipdr', 'before'), async launcher => await pullSamples(bench, launcher))
  },
}

function decisionSample(kind: (typeof kinds)[number]): Sample {
  const [short, long] = [few, many].map(count => new Rules(rulesOf(kind, count)))
  // in turn, as V8 compiles anew what both run; the quickest of each is the one that nothing else disturbed
  const times = Array.from({ length: turns }, () => [measureDecisions(short!), measureDecisions(long!)])
  const [quickest, quickestOfMany] = [0, 1].map(i => Math.min(...times.map(pair => pair[i]!)))
  return [measure(decisionName(kind), 'times', 'lower'), quickestOfMany! / quickest!]
}

function rulesOf(kind: (typeof kinds)[number], count: number): Rule[] {
  return Array.from({ length: count }, (_, i) => ({
    source: `access.yml, line ${i + 1}`,
    effect: 'allow',
    subjects: [
      { user: `user:user-${i}`, repository: 'authenticated', network: `network:10.${i >> 8}.${i & 255}.0/24` }[kind],
    ],
    repositories: [kind === 'repository' ? `team-${i}/**` : 'team-1/**'],
    actions: ['pull', 'push'],
  }))
}

/** @returns milliseconds */
function measureDecisions(rules: Rules): number {
  const identity: Identity = { kind: 'user', name: 'user-1', groups: [], address: '10.0.1.7' }
  const question = { action: 'pull', repository: 'team-1/app' } as const
  const decide = (): void => {
    for (let i = 0; i < decisions; i++) {
      if (!rules.decide(identity, question).allowed) {
        throw new Error('the rules do not allow what they should')
      }
    }
  }
  decide()
  const began = performance.now()
  decide()
  return performance.now() - began
}

async function pullSamples(bench: Bench, launcher: Launcher): Promise<Sample[]> {
  const open = await Server.start(launcher, await bench.folder(launcher.name), { publish: false })
  const closed = await Server.start(launcher, await bench.folder(launcher.name), { publish: false })
  try {
    for (const { base } of [open, closed]) {
      await pushSmallImage(base, repository, 'latest')
    }
    await close(closed)
    const token = await tokenOf(closed)
    const found: Rate[] = []
    // the first two warm up; then A B B A, so that drift favours neither
    for (const [server, shown] of [
      [open, undefined],
      [closed, token],
      [open, undefined],
      [closed, token],
      [closed, token],
      [open, undefined],
    ] as const) {
      found.push(await rateOf(bench, server, shown))
    }
    const [without, withOne] = [
      [found[2]!, found[5]!],
      [found[3]!, found[4]!],
    ].map(([one, other]) => ({ perSecond: (one!.perSecond + other!.perSecond) / 2, cpu: (one!.cpu + other!.cpu) / 2 }))
    return [
      [measure('manifest GET without a log-in', '1/s', 'higher'), without!.perSecond],
      [measure('manifest GET with a token', '1/s', 'higher'), withOne!.perSecond],
      [measure(withToken, 'times', 'higher'), withOne!.perSecond / without!.perSecond],
      [measure('processor time of a manifest GET without a log-in', 'ms', 'lower'), without!.cpu],
      [measure('processor time of a manifest GET with a token', 'ms', 'lower'), withOne!.cpu],
    ]
  } finally {
    await Promise.all([open.remove(), closed.remove()])
  }
}

/** Writes rules and a user, and waits until they are in force */
async function close({ base, dataDir }: Server): Promise<void> {
  await mkdir(dataDir, { recursive: true })
  await writeFile(join(dataDir, 'htpasswd'), `${user}:${hashSync(password, 4)}\n`)
  await writeFile(
    join(dataDir, 'access.yml'),
    "rules:\n  - { who: [authenticated], repositories: ['**'], actions: [pull, push, tag] }\n",
  )
  const end = performance.now() + 10_000
  while ((await fetch(`${base}/v2/`)).status !== 401) {
    if (performance.now() > end) {
      throw new Error('the rules are not in force')
    }
  }
}

async function tokenOf({ base }: Server): Promise<string> {
  const response = await fetch(`${base}/auth/token?scope=repository:${repository}:pull`, {
    headers: { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
  })
  return ((await response.json()) as { token: string }).token
}

interface Rate {
  perSecond: number
  /** Milliseconds of the processor for one request: less noisy than the rate where others use the machine, too */
  cpu: number
}

async function rateOf(bench: Bench, { base, pid }: Server, token: string | undefined): Promise<Rate> {
  const before = await cpuSeconds(pid)
  const { requests, seconds } = await nativeRate({
    url: `${base}/v2/${repository}/manifests/latest`,
    method: 'GET',
    connections,
    seconds: bench.options.seconds,
    accept: manifestType,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  })
  return { perSecond: requests / seconds, cpu: (((await cpuSeconds(pid)) - before) * second) / requests }
}

function measure(name: string, unit: string, better: Measure['better']): Measure {
  return { case: 'access', name, unit, better }
}
