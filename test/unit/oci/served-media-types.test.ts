import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1_SIGNED,
  isMediaType,
  isSafeManifestType,
} from '../../../src/oci/manifest/media-types.ts'

/** https://mimesniff.spec.whatwg.org/#mime-type-groups, and what browsers show beside them */
const shown = [
  'text/html',
  'text/plain',
  'text/css',
  'text/xml',
  'application/xml',
  'application/xhtml+xml',
  'image/svg+xml',
  'application/rss+xml',
  'application/vnd.mozilla.xul+xml',
  'application/vnd.x+json+xml',
  'application/javascript',
  'application/ecmascript',
  'application/x-javascript',
  'text/javascript',
  'text/jscript',
  'application/pdf',
  'application/wasm',
  'application/vnd.apple.mpegurl',
  'application/signed-exchange',
  'application/x-mimearchive',
  'application/vnd.ms-fontobject',
  'application/zip',
  'application/octet-stream',
  'multipart/related',
  'multipart/x-mixed-replace',
  'multipart/form-data',
  'message/rfc822',
  'image/png',
  'audio/mpeg',
  'video/mp4',
  'font/woff2',
  'model/gltf+json',
  'text/json',
  'text/x+json',
]

describe('the media type that a manifest is sent with', () => {
  for (const type of [
    OCI_MANIFEST,
    OCI_INDEX,
    OCI_ARTIFACT,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_MANIFEST_V1_SIGNED,
    OCI_MANIFEST.toUpperCase(),
    'application/json',
    'application/vnd.cncf.helm.config.v1+json',
  ]) {
    it(`may be ${type}`, () => assert.equal(isSafeManifestType(type), true))
  }

  for (const type of [
    ...shown,
    ...shown.map(type => type.toUpperCase()),
    'application/+json',
    '+json',
    'json',
    'application/json; charset=utf-8',
    'application/json\r\nX: y',
    'application/json\n',
    ' application/json',
    '',
  ]) {
    it(`is never ${JSON.stringify(type)}`, () => assert.equal(isSafeManifestType(type), false))
  }

  it('is a media type and says that it is JSON, whatever it was said to be', () => {
    const letter = fc.constantFrom(
      ...'aZ1.+-;=/ \r\n\t<"é'.split(''),
      'json',
      'xml',
      'html',
      'text',
      'application',
      'vnd',
      '+json',
      '+xml',
      'application/',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(letter, { maxLength: 8 }).map(parts => parts.join('')),
          fc.array(letter, { maxLength: 5 }).map(parts => `application/${parts.join('')}`),
          fc.constantFrom(...shown),
          fc.string(),
        ),
        type => {
          if (isSafeManifestType(type)) {
            assert.ok(isMediaType(type) && /^application\/[^\s;/<>"]*json$/i.test(type), type)
            assert.ok(!shown.includes(type.toLowerCase()))
          }
        },
      ),
      { numRuns: 20_000 },
    )
  })
})
