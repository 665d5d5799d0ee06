/** Breaks `src` in one place after the other, and tells which of these defects no test finds: see CONTRIBUTING.md */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { placesOf, type Mutant, type Place } from './mutant.ts'
import { mutants, readSources } from './mutants.ts'
import { Workshop, type Outcome } from './workshop.ts'

/** More of them starve each other on a small machine, and tests fail for that */
const workers = 2

const wanted = process.argv.slice(2)
const directory = mkdtempSync(join(tmpdir(), 'ipdr-mutants-'))
process.env.TMPDIR = directory
process.once('exit', () => {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
})
process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))

const sources = readSources()
const problems: string[] = []
const tried = mutants.flatMap(locate).filter(isWanted)
if (tried.length === 0 && problems.length === 0) {
  problems.push(`no mutant in ${wanted.join(', ')}`)
}
let killed = 0
/** Of test files before anything is broken: what fails then tells nothing */
const intact = new Map<string, Promise<Outcome>>()
const left = tried.values()
await Promise.all(
  Array.from({ length: Math.min(workers, tried.length) }, async (_, i) => {
    await using workshop = await Workshop.open(join(directory, `copy-${i}`))
    for (const { mutant, place } of left) {
      await tryOne(workshop, mutant, place)
    }
  }),
)
problems.forEach(problem => {
  print(`PROBLEM ${problem}`)
})
print(`${tried.length} mutants: ${killed} killed, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1

function locate(mutant: Mutant): Array<{ mutant: Mutant; place: Place }> {
  const places = placesOf(mutant, sources)
  if (places.length !== 1) {
    problems.push(`"${mutant.name}": its text stands in ${places.length} places of src instead of one: ${mutant.find}`)
  }
  return places.slice(0, 1).map(place => ({ mutant, place }))
}

/** Asked for by a part of its file's path or of its name; without any, all are */
function isWanted({ mutant, place }: { mutant: Mutant; place: Place }): boolean {
  return wanted.length === 0 || wanted.some(text => place.file.includes(text) || mutant.name.includes(text))
}

async function tryOne(workshop: Workshop, mutant: Mutant, place: Place): Promise<void> {
  const { name, replace, tests } = mutant
  const key = tests.join(' ')
  const before = intact.get(key) ?? workshop.test(tests)
  intact.set(key, before)
  const { passed, failure } = await before
  if (!passed) {
    problems.push(`${key} fails with nothing broken: ${failure}`)
    return
  }
  const outcome = await workshop.try(place, replace, tests)
  const line = `${place.file}: ${name} (${outcome.seconds.toFixed(1)} s)`
  if (outcome.passed) {
    problems.push(`survived ${key}: ${place.file}: ${name}`)
    print(`SURVIVED ${line}`)
  } else {
    killed++
    print(`killed   ${line}: ${outcome.failure}`)
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
