import { run } from '../../../src/cli/program.ts'
import { fakeContext } from './fake-context.ts'

export interface Result {
  code: number
  out: string
  err: string
}

/** Runs the program in this process */
export async function ipdr(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const context = fakeContext(env)
  const code = await run(args, context)
  return { code, out: context.stdout.text, err: context.stderr.text }
}
