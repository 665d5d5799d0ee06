/**
 * Our server beside others, in turn, on the same disk: `npm run bench -- --help`. Every figure is of this one run: take
 * the ratios.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Bench, type Case } from './bench.ts'
import { pull, push, pushAndPull } from './cases/blobs.ts'
import { access } from './cases/access.ts'
import { busy } from './cases/busy.ts'
import { cpu } from './cases/cpu.ts'
import { disk } from './cases/disk.ts'
import { hostile } from './cases/hostile.ts'
import { image } from './cases/image.ts'
import { latency } from './cases/latency.ts'
import { listings } from './cases/listings.ts'
import { manifests, requests } from './cases/manifests.ts'
import { memoryCase } from './cases/memory.ts'
import { mirror } from './cases/mirror.ts'
import { nodeToNode } from './cases/node-to-node.ts'
import { pages } from './cases/pages.ts'
import { rollOut } from './cases/roll-out.ts'
import { start } from './cases/start.ts'
import { buildNative } from './native.ts'
import { parseOptions, usage, UsageError, type Options } from './options.ts'
import { describeMachine } from './report/machine.ts'
import { caseResults, type CaseResults } from './report/results.ts'
import { save } from './report/save.ts'
import { plain } from './report/table.ts'
import { findDistribution } from './targets/distribution.ts'
import { findBefore, findIpdr } from './targets/ipdr.ts'
import { findKubo } from './targets/kubo.ts'
import { logDirectory } from './targets/process.ts'
import { findLimit, findNull } from './targets/reference.ts'
import type { Launcher } from './targets/target.ts'
import { findZot } from './targets/zot.ts'

const cases: Case[] = [
  push,
  pull,
  manifests,
  requests,
  listings,
  image,
  nodeToNode,
  start,
  memoryCase,
  cpu,
  disk,
  latency,
  busy,
  hostile,
  access,
  pages,
  mirror,
  rollOut,
]
const results = join(import.meta.dirname, 'results')

try {
  const options = parseOptions(process.argv.slice(2), process.env)
  if (options === 'help') {
    console.log(usage)
  } else {
    await benchmark(options)
  }
} catch (err) {
  // bad options: one line is enough
  if (err instanceof UsageError || (err as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true) {
    console.error((err as Error).message)
    process.exitCode = 1
  } else {
    throw err
  }
}

async function benchmark(options: Options): Promise<void> {
  const chosen = choose(options.cases)
  await rm(logDirectory, { recursive: true, force: true })
  await buildNative()
  const launchers = await findTargets(options)
  const about: Omit<CaseResults, 'case' | 'series'> = {
    began: new Date().toISOString(),
    commandLine: options.commandLine,
    rounds: options.rounds,
    machine: await describeMachine(options.directory),
    targets: Object.fromEntries(launchers.map(({ name, about }) => [name, about])),
  }
  console.log(
    Object.entries({ ...about.machine, ...about.targets })
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
  )
  const bench = await Bench.create(options, launchers)
  const directory = options.save ? results : join(results, 'tmp')
  // what runs and lies around goes at the exit of the process
  process.once('SIGINT', () => {
    process.exit(130)
  })
  process.once('SIGTERM', () => {
    process.exit(143)
  })
  for (const { name, run } of chosen) {
    await run(bench)
    for (const part of name.split(' and ')) {
      const result = caseResults(part, bench.measures.of(part), about)
      console.log(`\n${plain(result)}`)
      await save(directory, result)
    }
  }
  console.log(`\n${join(directory, 'README.md')}`)
}

/** @throws UsageError */
function choose(names: string[]): Case[] {
  const unknown = names.find(name => !cases.some(one => one.name === name))
  if (unknown !== undefined) {
    throw new UsageError(`no case ${unknown}: there are ${cases.map(({ name }) => name).join(' ')}`)
  }
  const chosen = cases.filter(({ name }) => names.length === 0 || names.includes(name))
  return chosen.includes(push) && chosen.includes(pull)
    ? [pushAndPull, ...chosen.filter(one => one !== push && one !== pull)]
    : chosen
}

async function findTargets(options: Options): Promise<Launcher[]> {
  const found = await Promise.all(
    [findIpdr, findBefore, findDistribution, findZot, findKubo, findLimit, findNull].map(
      async find => await find(options),
    ),
  )
  const launchers = found.filter(launcher => launcher !== undefined)
  const unknown = options.targets?.find(name => !launchers.some(launcher => launcher.name === name))
  if (unknown !== undefined) {
    throw new UsageError(
      `no target ${unknown} on this machine: there are ${launchers.map(({ name }) => name).join(' ')}; scripts/test-tools builds distribution and kubo`,
    )
  }
  return launchers.filter(({ name }) => options.targets?.includes(name) ?? true)
}
