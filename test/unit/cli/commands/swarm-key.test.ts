import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { preSharedKey } from '@libp2p/pnet'
import { parseSwarmKey } from '../../../../src/ipfs/node/swarm-key.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../ipdr.ts'

describe('ipdr swarm-key', () => {
  it('prints another key each time, which libp2p takes', async () => {
    const [first, second] = [await ipdr(['swarm-key']), await ipdr(['swarm-key'])]
    assert.match(first.out, /^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}\n$/)
    assert.deepEqual([first.code, first.err], [0, ''])
    assert.notEqual(first.out, second.out)
    const bytes = Buffer.from(first.out)
    assert.equal(`${Buffer.from(parseSwarmKey(bytes)).toString()}\n`, first.out)
    preSharedKey({ psk: bytes })
  })

  it('writes a file that only its owner can read, and never replaces one', async () => {
    await using scratch = await temporaryDirectory('swarm-key')
    const directory = join(scratch.path, 'new/data')
    const file = join(directory, 'swarm.key')
    assert.deepEqual(await ipdr(['swarm-key', directory]), { code: 0, out: `${file}\n`, err: '' })
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const text = await readFile(file, 'utf8')
    parseSwarmKey(Buffer.from(text))

    const again = await ipdr(['swarm-key', directory])
    assert.deepEqual(again, { code: 1, out: '', err: `ipdr: ${file} is there already, and is left as it is\n` })
    assert.equal(await readFile(file, 'utf8'), text)
  })

  it('says why it can not write', async () => {
    await using scratch = await temporaryDirectory('swarm-key')
    await writeFile(join(scratch.path, 'file'), '')
    for (const name of ['file', 'file/below']) {
      const { code, err } = await ipdr(['swarm-key', join(scratch.path, name)])
      assert.equal(code, 1)
      assert.match(err, /^ipdr: [^\n]*swarm\.key can't be written: [^\n]+\n$/)
    }
    await mkdir(join(scratch.path, 'taken/swarm.key'), { recursive: true })
    assert.match((await ipdr(['swarm-key', join(scratch.path, 'taken')])).err, /is there already/)
  })
})
