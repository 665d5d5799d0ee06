import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/**
 * The source of bcryptjs, for a thread that has no file of its own. A bundle has the text here instead
 * (scripts/bundle.ts).
 */
export function bcryptSource(): string {
  return readFileSync(createRequire(import.meta.url).resolve('bcryptjs'), 'utf8')
}
