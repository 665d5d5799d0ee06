import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspectImage } from '../../../../src/client/registry/inspect-image.ts'
import { RegistryClient } from '../../../../src/remote/registry/registry-client.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageIndex, ociIndex } from '../../../fixtures/manifests.ts'

describe('an image that is inspected', () => {
  async function inspected(
    answer: (reference: string) => Buffer,
  ): Promise<{ requests: number; failure: unknown; manifests: number | undefined }> {
    await using server = await fakeServer(({ url }, res) => {
      res.setHeader('Content-Type', ociIndex)
      res.end(answer(url.split('/').at(-1)!))
    })
    const client = await RegistryClient.open({ host: server.host })
    const [result] = await Promise.allSettled([
      inspectImage(client, 'a', { tag: 'v1' }, { signal: AbortSignal.timeout(20_000) }),
    ])
    const {
      requests: { length: requests },
    } = server
    return result.status === 'fulfilled'
      ? { requests, failure: undefined, manifests: result.value.manifests.length }
      : { requests, failure: result.reason, manifests: undefined }
  }

  it('does not lie below itself', async () => {
    const endless = imageIndex([{ ...descriptorOf(Buffer.from('x'), ociIndex), digest: sha256(Buffer.from('x')) }])
    const { failure, requests } = await inspected(() => endless)
    assert.match(String(failure), /^ClientError: sha256:[0-9a-f]+ is damaged/)
    assert.equal(requests, 2)
  })

  it('has indexes below each other, but not without end', async () => {
    const chain = [imageIndex([])]
    for (let i = 0; i < 12; i++) {
      chain.unshift(imageIndex([descriptorOf(chain[0]!, ociIndex)]))
    }
    const { failure, requests } = await inspected(
      reference => chain.find(bytes => sha256(bytes) === reference) ?? chain[0]!,
    )
    assert.match(String(failure), /has an image with more than 8 nested indexes$/)
    assert.equal(requests, 9)
  })

  it('is asked for once, however often it is named', async () => {
    const inner = imageIndex([])
    const outer = imageIndex(Array.from({ length: 50 }, () => descriptorOf(inner, ociIndex)))
    assert.deepEqual(await inspected(reference => (reference === sha256(inner) ? inner : outer)), {
      requests: 2,
      failure: undefined,
      manifests: 50,
    })
  })
})
