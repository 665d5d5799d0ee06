import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readSecrets, webhookHeaders } from '../../../../src/events/webhooks/signature.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

async function read(text: string): Promise<Buffer[]> {
  await using directory = await temporaryDirectory('secret')
  const path = join(directory.path, 'secret')
  await writeFile(path, text)
  return await readSecrets(path)
}

const secret = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 'x').toString('base64')}`

describe('the signature of a webhook', () => {
  it('is that of the libraries of Standard Webhooks', () => {
    // the example of those libraries
    const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
    const headers = webhookHeaders('msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330_999, '{"test": 2432232314}', [key])
    assert.deepEqual(headers, {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  it('is made with every secret, and with none where there is none', () => {
    const { 'webhook-signature': both = '' } = webhookHeaders('id', 0, 'x', [Buffer.alloc(24), Buffer.alloc(32, 1)])
    assert.match(both, /^v1,[^ ]{44} v1,[^ ]{44}$/)
    assert.deepEqual(Object.keys(webhookHeaders('id', 0, 'x', [])), ['webhook-id', 'webhook-timestamp'])
  })

  it('takes secrets of 24 to 64 bytes, one a line', async () => {
    assert.deepEqual(
      (await read(`${secret(24)}\n\n${secret(64)}\r\n`)).map(({ length }) => length),
      [24, 64],
    )
    for (const text of [
      '',
      '\n',
      secret(23),
      secret(65),
      'a password',
      `${secret(24)}\nx`,
      `${secret(32)}\n`.repeat(6),
    ]) {
      await assert.rejects(read(text), error => {
        const { message, name } = error as Error
        assert.equal(name, 'SecretError')
        assert.doesNotMatch(message, /eHh4|password/)
        return true
      })
    }
  })
})
