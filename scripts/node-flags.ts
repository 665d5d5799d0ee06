import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * The flags that Node has to be started with, from the one place that has them: the first line of src/main.ts. `npm
 * start`, `npm run ipdr` and the container run that file as a program, and the npm package's program begins with the
 * same line. Whoever has to name Node asks here.
 *
 * @param checkout of this project
 */
export function nodeFlags(checkout = resolve(import.meta.dirname, '..')): string[] {
  const [firstLine = ''] = readFileSync(join(checkout, 'src/main.ts'), 'utf8').split('\n', 1)
  const prefix = '#!/usr/bin/env -S node '
  if (!firstLine.startsWith(prefix)) {
    throw new Error(`the first line of src/main.ts does not begin with ${prefix}`)
  }
  return firstLine.slice(prefix.length).split(' ')
}
