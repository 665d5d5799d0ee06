import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ipdr } from '../ipdr.ts'

const v0 = 'QmYMg6WAuvF5i5yFmjT8KkqewZ5Ngh4U9Mp1bGfdjraFVk'
const docker = 'ciqjjwaeoszdgcaasxmlhjuqnhbctgwijqz64w564lrzeyjezcvbj4y'

describe('ipdr convert', () => {
  for (const [args, out] of [
    [[v0, '--format=docker'], docker],
    [['-f', 'docker', `/ipfs/${v0}`], docker],
    [[docker, '-f', 'ipfs'], v0],
  ] as const) {
    it(`${args.join(' ')} prints ${out}`, async () => {
      assert.deepEqual(await ipdr(['convert', ...args]), { code: 0, out: `${out}\n`, err: '' })
    })
  }

  it('says what it cannot read', async () => {
    assert.deepEqual(await ipdr(['convert', 'busybox', '-f', 'docker']), {
      code: 1,
      out: '',
      err: 'ipdr: "busybox" is neither a CID nor a hash in docker format (ciq...) nor an IPNS name\n',
    })
  })

  for (const args of [['x', '-f', 'other'], ['x'], [], ['x', 'y', '-f', 'docker']]) {
    it(`'ipdr convert ${args.join(' ')}' is no command line`, async () => {
      const { code, err, out } = await ipdr(['convert', ...args])
      assert.deepEqual({ code, out }, { code: 1, out: '' })
      assert.match(err, /^ipdr: .+\nRun 'ipdr convert --help'/)
    })
  }
})
