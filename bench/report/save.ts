import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chart } from './chart.ts'
import type { CaseResults } from './results.ts'
import { markdown } from './table.ts'

/**
 * Writes what a case gave, and the table of all cases in the folder anew:
 *
 * ```
 * <case>.json   every value of every round
 * <case>.svg    the ratios
 * README.md     the tables
 * ```
 */
export async function save(directory: string, result: CaseResults): Promise<void> {
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, `${result.case}.json`), `${JSON.stringify(result, undefined, 1)}\n`)
  const drawn = chart(result)
  await (drawn === undefined
    ? rm(join(directory, `${result.case}.svg`), { force: true })
    : writeFile(join(directory, `${result.case}.svg`), drawn))
  const files = (await readdir(directory)).filter(file => file.endsWith('.json')).sort()
  const all = await Promise.all(
    files.map(async file => JSON.parse(await readFile(join(directory, file), 'utf8')) as CaseResults),
  )
  await writeFile(join(directory, 'README.md'), markdown(all))
}
