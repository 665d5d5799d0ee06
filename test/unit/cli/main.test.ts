import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const main = join(import.meta.dirname, '../../../src/main.js')

interface Result {
  code: number | null
  out: string
  err: string
}

async function ipdr(args: string[]): Promise<Result> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise<number | null>(resolve => child.on('exit', resolve))
  const [code, out, err] = await Promise.all([exited, text(child.stdout), text(child.stderr)])
  return { code, out, err }
}

describe('ipdr as a process', () => {
  const table: [string[], number, RegExp, RegExp][] = [
    [[], 0, /^Usage: ipdr/, /^$/],
    [['version'], 0, /^ipdr /, /^$/],
    [['nope'], 1, /^$/, /^ipdr: unknown command 'nope'\nRun [^\n]*\n$/],
    [['server', '--port', 'x'], 1, /^$/, /^ipdr: port: [^\n]*\n$/],
  ]
  for (const [args, code, out, err] of table) {
    it(`'ipdr ${args.join(' ')}' exits with ${code}`, async () => {
      const result = await ipdr(args)
      assert.equal(result.code, code)
      assert.match(result.out, out)
      assert.match(result.err, err)
    })
  }

  it('survives a reader that has seen enough', async () => {
    const child = spawn(process.execPath, [main, 'server', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    const exited = new Promise<number | null>(resolve => child.on('exit', resolve))
    assert.deepEqual([await exited, await text(child.stderr)], [0, ''])
  })

  it('does not load the IPFS node for a command that has no use for it', async () => {
    const child = spawn(process.execPath, ['--import', loaded, main, 'config', 'verify'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [, err] = await Promise.all([text(child.stdout), text(child.stderr)])
    assert.doesNotMatch(err, /node_modules\/(helia|libp2p)\/|appliance\.ts/)
    assert.match(err, /node_modules\/commander\//)
  })
})

/** Prints the address of every module that is loaded */
const loaded = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from 'node:module'
registerHooks({ load (url, context, next) { process.stderr.write(url + '\\n'); return next(url, context) } })
`)}`
