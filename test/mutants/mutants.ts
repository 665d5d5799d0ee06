import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectDirectory } from '../fixtures/tools.ts'
import { durability } from './durability.ts'
import { events } from './events.ts'
import { faults } from './faults.ts'
import { identities } from './identities.ts'
import { logIns } from './log-ins.ts'
import type { Mutant } from './mutant.ts'
import { peers } from './peers.ts'
import { retrieval } from './retrieval.ts'
import { security } from './security.ts'
import { signatures } from './signatures.ts'
import { upstreams } from './upstreams.ts'

/** The whole table */
export const mutants: readonly Mutant[] = [
  ...durability,
  ...events,
  ...faults,
  ...identities,
  ...logIns,
  ...peers,
  ...retrieval,
  ...security,
  ...signatures,
  ...upstreams,
]

/** All of `src`, by path from the project's directory on */
export function readSources(): Map<string, string> {
  const files = globSync('src/**/*.ts', { cwd: projectDirectory })
  return new Map(files.map(file => [file, readFileSync(join(projectDirectory, file), 'utf8')]))
}
