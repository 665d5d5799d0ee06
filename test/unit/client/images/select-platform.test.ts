import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parsePlatform, selectPlatform } from '../../../../src/client/images/select-platform.ts'
import { makeImage, makeMultiPlatformImage, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageIndex, ociIndex } from '../../../fixtures/manifests.ts'
import { memorySource } from '../../../fixtures/memory-image.ts'

const amd64 = makeImage([{ a: Buffer.from('amd') }])
const arm64 = makeImage([{ a: Buffer.from('arm') }], { architecture: 'arm64', os: 'linux' })
const multi = makeMultiPlatformImage(
  new Map([
    ['amd64', amd64],
    ['arm64', arm64],
  ]),
)

describe('the image for a platform', () => {
  it('is found below an index, and below an index below that', async () => {
    const outer = imageIndex([multi.descriptor])
    const nested = {
      descriptor: descriptorOf(outer, ociIndex),
      content: new Map([...multi.content, [sha256(outer), outer]]),
    }
    for (const image of [multi, nested]) {
      assert.equal(
        (await selectPlatform(memorySource(image), parsePlatform('linux/arm64'))).top.digest,
        arm64.descriptor.digest,
      )
    }
  })

  it('is not looked for below indexes without end', async () => {
    let image = multi
    for (let i = 0; i < 9; i++) {
      const outer = imageIndex([image.descriptor])
      image = {
        descriptor: { ...descriptorOf(outer, ociIndex), digest: sha256(outer) },
        content: new Map([...image.content, [sha256(outer), outer]]),
      }
    }
    await assert.rejects(selectPlatform(memorySource(image), parsePlatform('linux/arm64')), {
      name: 'ClientError',
      message: 'the image lies below more than 8 indexes',
    })
  })

  it('is not found in what is no manifest', async () => {
    for (const text of ['null', '[]', '{', '{"manifests":{}}']) {
      const bytes = Buffer.from(text)
      const image = {
        descriptor: { ...multi.descriptor, digest: sha256(bytes) },
        content: new Map([[sha256(bytes), bytes]]),
      }
      await assert.rejects(selectPlatform(memorySource(image), parsePlatform('linux/arm64')), {
        name: 'OciError',
        code: 'MANIFEST_INVALID',
      })
    }
  })

  it('is the image itself where there is no index', async () => {
    assert.equal(
      (await selectPlatform(memorySource(amd64), parsePlatform('linux/s390x'))).top.digest,
      amd64.descriptor.digest,
    )
  })

  for (const platform of ['linux/s390x', 'windows/amd64', 'linux/arm64/v9']) {
    it(`is not there for ${platform}`, async () => {
      await assert.rejects(selectPlatform(memorySource(multi), parsePlatform(platform)), {
        message: `the image has nothing for ${platform}; it has: linux/amd64, linux/arm64`,
      })
    })
  }

  for (const text of ['', 'linux', 'linux/', 'linux/amd64/v1/x', 'Linux/amd64', '../x']) {
    it(`is not "${text}"`, () => assert.throws(() => parsePlatform(text), { name: 'ClientError' }))
  }
})
