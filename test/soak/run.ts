import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { crashPoints } from './crash-points.ts'
import { garbage } from './garbage.ts'
import { kept } from './kept.ts'
import { kill } from './kill.ts'
import { partition } from './partition.ts'
import { powerFailures } from './power-failures.ts'
import type { Soak } from './soak.ts'
import { steady } from './steady.ts'
import { tenants, thief } from './tenants.ts'

const soaks: Record<string, Soak> = {
  kill,
  garbage,
  steady,
  partition,
  'crash-points': crashPoints,
  'power-failures': powerFailures,
  kept,
  tenants,
  thief,
}

const {
  positionals: [name = '', ...more],
  values,
} = readArguments()
const soak = soaks[name]
if (values.help === true) {
  process.stdout.write(usage())
  process.exit(0)
}
if (soak === undefined || more.length > 0) {
  refuse(name === '' ? 'NAME is missing' : `no such run: ${[name, ...more].join(' ')}`)
}
const rounds = number(values.rounds)
const minutes = number(values.minutes)
const manifests = number(values.manifests)
const actions = number(values.actions)
const seed = values.seed ?? String(Date.now())
const began = performance.now()
const print = (line: string): void => {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`)
}
print(`${name}, --seed ${seed}`)

// everything is gone with the process, however it ends; its servers end with it as well
const directory = mkdtempSync(join(tmpdir(), 'ipdr-soak-'))
process.env.TMPDIR = directory
process.once('exit', () => {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
})
process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))

const problems = await soak({ seed, rounds, minutes, manifests, actions, print }).catch((err: unknown) => [
  err instanceof Error ? (err.stack ?? err.message) : String(err),
])
problems.forEach(problem => {
  print(`PROBLEM ${problem}`)
})
print(`${name}, --seed ${seed}: ${problems.length} problems, ${Math.round((performance.now() - began) / 1000)} s`)
process.exitCode = problems.length === 0 ? 0 : 1

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: 'string' },
        rounds: { type: 'string' },
        minutes: { type: 'string' },
        manifests: { type: 'string' },
        actions: { type: 'string' },
        help: { type: 'boolean' },
      },
    })
  } catch (err) {
    return refuse((err as Error).message)
  }
}

function number(text: string | undefined): number | undefined {
  if (text !== undefined && !(Number(text) > 0)) {
    refuse(`not a number above 0: ${text}`)
  }
  return text === undefined ? undefined : Number(text)
}

function refuse(problem: string): never {
  process.stderr.write(`${problem}\n${usage()}`)
  process.exit(1)
}

function usage(): string {
  return `npm run soak -- ${Object.keys(soaks).join(' | ')} [--seed TEXT] [--rounds N] [--minutes N] [--manifests N] [--actions N]\n`
}
