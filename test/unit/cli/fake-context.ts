import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
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

export function fakeContext(env: NodeJS.ProcessEnv = {}): FakeContext {
  return { stdout: new Text(), stderr: new Text(), env, process: new FakeProcess() }
}
