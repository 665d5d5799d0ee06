import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { projectDirectory } from '../fixtures/tools.ts'
import { replaced, type Place } from './mutant.ts'

const second = 1000
/** For one test, and for one run of test files: a mutant that makes a test wait for ever is found, too */
const testTimeout = 30 * second
const runTimeout = 120 * second

export interface Outcome {
  passed: boolean
  /** The first test that failed, or why there is none */
  failure: string
  seconds: number
}

/** A copy of the project, in which one thing at a time is broken */
export class Workshop implements AsyncDisposable {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async open(directory: string): Promise<Workshop> {
    await mkdir(directory, { recursive: true })
    for (const name of ['src', 'ui', 'test', 'config', 'scripts', 'package.json', 'tsconfig.json']) {
      await cp(join(projectDirectory, name), join(directory, name), {
        recursive: true,
        filter: source => !source.startsWith(join(projectDirectory, 'test/tools')),
      })
    }
    await symlink(join(projectDirectory, 'node_modules'), join(directory, 'node_modules'))
    return new Workshop(directory)
  }

  /** Replaces a piece of a file for as long as tests run */
  async try(place: Place, replacement: string, tests: readonly string[]): Promise<Outcome> {
    const path = join(this.#directory, place.file)
    const source = await readFile(path, 'utf8')
    await writeFile(path, replaced(source, place, replacement))
    try {
      return await this.test(tests)
    } finally {
      await writeFile(path, source)
    }
  }

  async test(tests: readonly string[]): Promise<Outcome> {
    const began = performance.now()
    const files = tests.map(test => join('test', test))
    const args = ['--test', '--test-reporter=tap', `--test-timeout=${testTimeout}`, ...files]
    const child = spawn(process.execPath, args, {
      cwd: this.#directory,
      // a test file that is told of a runner above it reports to that
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // a group of its own, as there is a process below it for each file
      detached: true,
    })
    const kill = (): void => {
      process.kill(-child.pid!, 'SIGKILL')
    }
    const timer = setTimeout(kill, runTimeout)
    process.once('exit', kill)
    try {
      const [[code], output, errors] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
      return {
        passed: code === 0,
        failure: firstFailure(output) ?? (code === null ? 'the tests did not end in time' : errors.trim().slice(-300)),
        seconds: (performance.now() - began) / second,
      }
    } finally {
      clearTimeout(timer)
      process.off('exit', kill)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** Of the output of the reporter `tap`: what failed comes before what it is part of */
function firstFailure(output: string): string | undefined {
  return /^ *not ok \d+ - (.*)$/m.exec(output)?.[1]
}
