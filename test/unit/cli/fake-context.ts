import { EventEmitter } from 'node:events'
import { Readable, Writable } from 'node:stream'
import type { CliContext } from '../../../src/cli/process/context.ts'

class Text extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

/** Signals are emitted, exits recorded */
export class FakeProcess extends EventEmitter {
  readonly exits: number[] = []

  exit(code: number): void {
    this.exits.push(code)
    this.emit('exited')
  }
}

export interface FakeContext extends CliContext {
  stdout: Text
  stderr: Text
  process: FakeProcess
}

/** @param input on standard input */
export function fakeContext(env: NodeJS.ProcessEnv = {}, input = ''): FakeContext {
  return {
    stdin: Readable.from([Buffer.from(input)]),
    stdout: new Text(),
    stderr: new Text(),
    env,
    process: new FakeProcess(),
  }
}
