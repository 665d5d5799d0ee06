import { createHash } from 'node:crypto'
import { manifestType } from './small-image.ts'

const mebibyte = 2 ** 20
const maxBytes = 4 * mebibyte
const indexType = 'application/vnd.oci.image.index.v1+json'

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 }

/** An image without layers whose last member is as large as a manifest may be */
function withExtra(extra: (bytes: number) => string): string {
  const head = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: empty, layers: [] }).slice(0, -1)
  return `${head},"extra":${extra(maxBytes - head.length - 20)}}`
}

function list(item: (i: number) => string, bytes: number, max = Infinity): string {
  const items: string[] = []
  for (let size = 2; items.length < max; items.push(item(items.length))) {
    size += item(items.length).length + 1
    if (size > bytes) {
      break
    }
  }
  return items.join()
}

function descriptors(count: number, mediaType: string, more: object = {}): object[] {
  return Array.from({ length: count }, (_, i) => ({ mediaType, digest: digestOf(`${i}`), size: i, ...more }))
}

const layer = 'application/vnd.oci.image.layer.v1.tar+gzip'

/**
 * Bodies that take long by their structure, each with what is asked for after it; those within the limits are pushed
 * where nothing has to be there
 */
export const worstManifests: Record<string, () => string> = {
  'empty lists': () => withExtra(bytes => `[${list(() => '[]', bytes)}]`),
  'nested lists': () => withExtra(bytes => `${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}`),
  numbers: () => withExtra(bytes => `[${list(() => '0', bytes)}]`),
  'a long number': () => withExtra(bytes => '9'.repeat(bytes)),
  'a million names': () => withExtra(bytes => `{${list(i => `"${i.toString(36)}":0`, bytes)}}`),
  'one name again and again': () => withExtra(bytes => `{${list(() => '"a":0', bytes)}}`),
  'objects of one member': () => withExtra(bytes => `[${list(i => `{"k${i}":0}`, bytes)}]`),
  'as many objects as allowed': () =>
    withExtra(bytes => `[${list(i => `{"${'k'.repeat(120)}${i % 950}":0}`, bytes, 24_000)}]`),
  escapes: () => withExtra(bytes => `"${'\\u0041'.repeat(bytes / 6 - 1)}"`),
  'names with escapes': () => withExtra(bytes => `{${list(i => `"${'\\n'.repeat(35)}${i % 950}":0`, bytes, 49_000)}}`),
  spaces: () => withExtra(bytes => `${' '.repeat(bytes - 1)}1`),
  annotations: () =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: empty,
      layers: [],
      annotations: Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`name.${i}`, '\u00e9'.repeat(2000)])),
    }),
  'annotations of a referrer': () =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: empty,
      layers: [],
      subject: { mediaType: manifestType, digest: digestOf('subject'), size: 1 },
      annotations: Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`name.${i}`, '\n'.repeat(2000)])),
    }),
  '10,000 layers that are not there': () =>
    JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: empty, layers: descriptors(9_990, layer) }),
  '10,000 layers, most of them the same': () =>
    JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: empty, layers: Array(9_990).fill(empty) }),
  '10,000 layers that are elsewhere': () =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: empty,
      layers: descriptors(9_900, 'application/vnd.oci.image.layer.nondistributable.v1.tar', {
        urls: ['https://example.org/'],
      }),
    }),
  '10,000 platforms': () =>
    JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: descriptors(9_990, manifestType) }),
}

export const subject = digestOf('subject')
export { digestOf }
