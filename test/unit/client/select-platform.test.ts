import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parsePlatform, selectPlatform } from '../../../src/client/select-platform.ts'
import { makeImage, makeMultiPlatformImage, sha256 } from '../../fixtures/images.ts'
import { descriptorOf, imageIndex, ociIndex } from '../../fixtures/manifests.ts'
import { memorySource } from '../../fixtures/memory-image.ts'

const amd64 = makeImage([{ a: Buffer.from('amd') }])
const arm64 = makeImage([{ a: Buffer.from('arm') }], { architecture: 'arm64', os: 'linux' })
const multi = makeMultiPlatformImage(new Map([['amd64', amd64], ['arm64', arm64]]))

describe('the image for a platform', () => {
  it('is found below an index, and below an index below that', async () => {
    const outer = imageIndex([multi.descriptor])
    const nested = { descriptor: descriptorOf(outer, ociIndex), content: new Map([...multi.content, [sha256(outer), outer]]) }
    for (const image of [multi, nested]) {
      assert.equal((await selectPlatform(memorySource(image), parsePlatform('linux/arm64'))).top.digest, arm64.descriptor.digest)
    }
  })

  it('is the image itself where there is no index', async () => {
    assert.equal((await selectPlatform(memorySource(amd64), parsePlatform('linux/s390x'))).top.digest, amd64.descriptor.digest)
  })

  for (const platform of ['linux/s390x', 'windows/amd64', 'linux/arm64/v9']) {
    it(`is not there for ${platform}`, async () => {
      await assert.rejects(selectPlatform(memorySource(multi), parsePlatform(platform)), { message: `the image has nothing for ${platform}, but for linux/amd64, linux/arm64` })
    })
  }

  for (const text of ['', 'linux', 'linux/', 'linux/amd64/v1/x', 'Linux/amd64', '../x']) {
    it(`is not "${text}"`, () => assert.throws(() => parsePlatform(text), { name: 'ClientError' }))
  }
})
