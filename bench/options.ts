import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

export const usage = `npm run bench -- [CASE...] [OPTIONS]

Without a case, all of them. Lists are separated by commas. CASE:
  push pull manifests requests listings image node-to-node start memory cpu disk latency busy hostile access mirror roll-out

  --only CASES          the same as naming them
  --rounds N            counted rounds of each measure, after one that warms up [5; --quick 1]
  --quick               small sizes and short loads: shows that everything works, measures nothing
  --size SIZES          of blobs, such as 1MiB,1GiB [those of the case]
  --clients NUMBERS     that push or pull at a time [1,4,16]
  --connections NUMBERS that ask for manifests at a time [1,32,256]
  --entries NUMBERS     tags and repositories that are listed [10,1000,100000]
  --appliances NUMBERS  that get an image at once [4,8,16]
  --blocks NUMBERS      in the store at the start [10,10000,1000000]
  --seconds N           length of each load of requests [3]
  --chunked             push without a Content-Length, in pieces of 32 KiB
  --silent              nobody logs requests; without it, everybody does as by default
  --no-fsync            no side that can be told syncs to disk; distribution always does
  --targets NAMES       leave out the others: ipdr,before,distribution,zot,kubo,limit,null
  --before DIR          another checkout of ipdr, as the target "before"
  --bundle              ours as it is in the container image, with compiled code, instead of src/main.js
  --cold                each start of ours finds no compiled code of an earlier one, as in a new container
  --zot FILE            a zot binary [ZOT in the environment]
  --cpu-prof DIR        our server writes a CPU profile there when it stops
  --dir DIR             on the disk to measure [TMPDIR]; stores that take long to prepare stay in DIR/ipdr-bench-cache
  --save                keep the results in bench/results, not in bench/results/tmp
`

export interface Options {
  /** Names of the cases that were asked for; none: all */
  cases: string[]
  rounds: number
  quick: boolean
  /** Bytes; undefined: the case's own */
  sizes: number[] | undefined
  clients: number[]
  connections: number[]
  entries: number[]
  appliances: number[]
  blocks: number[]
  seconds: number
  chunked: boolean
  silent: boolean
  fsync: boolean
  targets: string[] | undefined
  before: string | undefined
  /** Whether ours runs as a bundle, as in the container image */
  bundle: boolean
  /** Whether nothing is left of what earlier processes compiled */
  cold: boolean
  zot: string | undefined
  cpuProfile: string | undefined
  directory: string
  save: boolean
  /** As given, for the report */
  commandLine: string
}

/** @throws TypeError of parseArgs, or UsageError */
export function parseOptions(args: string[], env: NodeJS.ProcessEnv): Options | 'help' {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    allowNegative: true,
    options: {
      ...Object.fromEntries(
        [
          'only',
          'rounds',
          'size',
          'clients',
          'connections',
          'appliances',
          'entries',
          'blocks',
          'seconds',
          'targets',
          'before',
          'zot',
          'cpu-prof',
          'dir',
        ].map(name => [name, { type: 'string' as const }]),
      ),
      ...Object.fromEntries(
        ['quick', 'bundle', 'cold', 'chunked', 'silent', 'fsync', 'save', 'help'].map(name => [
          name,
          { type: 'boolean' as const },
        ]),
      ),
    },
  })
  if (values['help'] === true) {
    return 'help'
  }
  const text = (name: string): string | undefined => values[name] as string | undefined
  const quick = values['quick'] === true
  const numbers = (name: string, initial: number[], initialQuick: number[]): number[] =>
    list(text(name))?.map(value => number(name, value)) ?? (quick ? initialQuick : initial)
  const path = (value: string | undefined): string | undefined =>
    value === undefined || value === '' ? undefined : resolve(value)
  return {
    cases: [...positionals, ...(list(text('only')) ?? [])],
    rounds: numbers('rounds', [5], [1])[0]!,
    quick,
    sizes: list(text('size'))?.map(parseSize),
    clients: numbers('clients', [1, 4, 16], [1, 2]),
    connections: numbers('connections', [1, 32, 256], [1, 8]),
    entries: numbers('entries', [10, 1000, 100_000], [10, 1000]),
    appliances: numbers('appliances', [4, 8, 16], [3]),
    blocks: numbers('blocks', [10, 10_000, 1_000_000], [10, 1000]),
    seconds: numbers('seconds', [3], [0.3])[0]!,
    chunked: values['chunked'] === true,
    silent: values['silent'] === true,
    fsync: values['fsync'] !== false,
    targets: list(text('targets')),
    before: path(text('before')),
    bundle: values['bundle'] === true,
    cold: values['cold'] === true,
    zot: path(text('zot') ?? env['ZOT']),
    cpuProfile: path(text('cpu-prof')),
    directory: path(text('dir')) ?? tmpdir(),
    save: values['save'] === true,
    commandLine: ['npm run bench --', ...args].join(' '),
  }
}

export class UsageError extends Error {
  static readonly name = 'UsageError'
  readonly name = 'UsageError'
}

/** Bytes of a size such as `256MiB` */
function parseSize(text: string): number {
  const [, amount, unit] = /^(\d+)(KiB|MiB|GiB)?$/.exec(text) ?? []
  if (amount === undefined) {
    throw new UsageError(`${text} is no size: write 256MiB or 1GiB`)
  }
  return Number(amount) * ({ KiB, MiB, GiB }[unit ?? ''] ?? 1)
}

/** A size as it is written on the command line */
export function sizeText(bytes: number): string {
  const [unit, divisor] = bytes >= GiB ? ['GiB', GiB] : bytes >= MiB ? ['MiB', MiB] : ['KiB', KiB]
  return `${Number((bytes / divisor).toFixed(1))} ${unit}`
}

function list(text: string | undefined): string[] | undefined {
  return text
    ?.split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

function number(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) {
    throw new UsageError(`--${name}: ${text} is no number above 0`)
  }
  return value
}
