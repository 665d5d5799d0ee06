import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const thisCheckout = resolve(import.meta.dirname, '..')
const program = '#!/usr/bin/env -S '

/**
 * The flags that Node has to be started with, from the one place that has them: the first line of src/main.js. `npm
 * start` and `npm run ipdr` run that file as a program, and the program of the npm package and of the container begins
 * with the same line. Whoever has to name Node asks here.
 *
 * @param checkout of this project
 */
export function nodeFlags(checkout = thisCheckout): string[] {
  return readCommand(checkout).flags
}

/** The environment variables that it has to be started with, from the same line */
export function nodeEnvironment(checkout = thisCheckout): Record<string, string> {
  return readCommand(checkout).environment
}

/** What runs as `ipdr` */
export function mainOf(checkout = thisCheckout): string {
  const main = join(checkout, 'src/main.js')
  // in older versions, which the bench compares with this one
  return existsSync(main) ? main : join(checkout, 'src/main.ts')
}

/** Of src/main.js, without its end */
export function firstLine(checkout = thisCheckout): string {
  return readFileSync(mainOf(checkout), 'utf8').split('\n', 1)[0]!
}

function readCommand(checkout: string): { environment: Record<string, string>; flags: string[] } {
  const line = firstLine(checkout)
  const words = line.slice(program.length).split(' ')
  const node = words.indexOf('node')
  if (!line.startsWith(program) || node < 0) {
    throw new Error(`the first line of src/main.js does not begin with ${program} and have node in it`)
  }
  const environment = Object.fromEntries(words.slice(0, node).map(word => word.split('=', 2) as [string, string]))
  return { environment, flags: words.slice(node + 1) }
}
