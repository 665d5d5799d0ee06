/**
 * Pushes a container image of a release to a registry, and attaches its SBOM and signature to it as referrers:
 *
 * ```
 * publish-image.ts [--sbom FILE] [--key FILE] [--plain-http] <archive or layout> <host/repository:tag>
 * ```
 *
 * It prints the image with its digest. The signature is in the format of cosign, and found under the tag where cosign
 * looks for it as well. Log-ins are those of `ipdr login` and `docker login`.
 */
import type { KeyObject } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { directoryFiles } from '../src/client/files/image-files.ts'
import { openFilesSource } from '../src/client/files/files-source.ts'
import { openArchive } from '../src/client/files/unpack-archive.ts'
import { copyImage } from '../src/client/images/copy-image.ts'
import type { SourceManifest } from '../src/client/images/image-source.ts'
import { digestOf } from '../src/client/images/verify-digest.ts'
import { readCredentials } from '../src/remote/registry/docker-credentials.ts'
import { RegistryClient } from '../src/remote/registry/registry-client.ts'
import { RegistryTarget } from '../src/client/registry/registry-target.ts'
import { dockerConfigFile } from '../src/config/load.ts'
import type { Descriptor } from '../src/oci/manifest/descriptor.ts'
import { parseImageName } from '../src/oci/image-name.ts'
import { OCI_MANIFEST } from '../src/oci/manifest/media-types.ts'
import { readReleaseKey, signatureOf } from './release-key.ts'

const sbomType = 'application/vnd.cyclonedx+json'
const signatureType = 'application/vnd.dev.cosign.artifact.sig.v1+json'
const payloadType = 'application/vnd.dev.cosign.simplesigning.v1+json'
const minute = 60_000

interface Attachment {
  artifactType: string
  mediaType: string
  bytes: Uint8Array
  annotations: Record<string, string>
  config: { mediaType: string; bytes: Uint8Array }
  /** @default its digest */
  tag?: string
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sbom: { type: 'string' }, key: { type: 'string' }, 'plain-http': { type: 'boolean', default: false } },
})
const [from, name] = positionals
if (from === undefined || name === undefined) {
  throw new Error('usage: publish-image.ts [--sbom FILE] [--key FILE] [--plain-http] <archive> <host/repository:tag>')
}
const { host, reference, repository } = parseImageName(name)
if (host === undefined || reference.digest !== undefined) {
  throw new Error(`${name} must name a registry and a tag, such as registry.example/ipdr-server:1.0.0`)
}
// before anything is pushed
const key = values.key === undefined ? undefined : await readReleaseKey(values.key)
const sbom = values.sbom === undefined ? undefined : await readFile(values.sbom)
const signal = AbortSignal.timeout(30 * minute)
const client = await RegistryClient.open({
  host,
  plainHttp: values['plain-http'],
  credentials: async registry => await readCredentials(dockerConfigFile(), registry),
})

const top = await pushImage(from, reference.tag)
const subject = { mediaType: top.mediaType, digest: top.digest, size: top.bytes.byteLength }
if (sbom !== undefined) {
  await attach(subject, {
    artifactType: sbomType,
    mediaType: sbomType,
    bytes: sbom,
    annotations: { 'org.opencontainers.image.title': basename(values.sbom!) },
    config: { mediaType: 'application/vnd.oci.empty.v1+json', bytes: Buffer.from('{}') },
  })
}
if (key !== undefined) {
  await attach(subject, signatureFor(subject, key))
}
process.stdout.write(`${host}/${repository}@${top.digest}\n`)

async function pushImage(path: string, tag: string): Promise<SourceManifest & { mediaType: string }> {
  const files = (await stat(path)).isDirectory() ? directoryFiles(path) : await openArchive(path, { signal })
  await using source = await openFilesSource(files, undefined, { signal })
  await copyImage(source, new RegistryTarget(client, { repository, tag }), { signal })
  const { mediaType = OCI_MANIFEST } = await client.manifest(repository, tag, { signal })
  return { ...source.top, mediaType }
}

/** @see https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md */
function signatureFor({ digest }: Descriptor, key: KeyObject): Attachment {
  const critical = {
    identity: { 'docker-reference': `${host}/${repository}` },
    image: { 'docker-manifest-digest': digest },
    type: 'cosign container image signature',
  }
  const bytes = Buffer.from(JSON.stringify({ critical, optional: null }))
  const image = { architecture: '', os: '', config: {}, rootfs: { type: 'layers', diff_ids: [digestOf(bytes)] } }
  return {
    artifactType: signatureType,
    mediaType: payloadType,
    bytes,
    annotations: { 'dev.cosignproject.cosign/signature': signatureOf(bytes, key) },
    // an image, as older versions of cosign read one
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', bytes: Buffer.from(JSON.stringify(image)) },
    tag: `${digest.replace(':', '-')}.sig`,
  }
}

async function attach(
  subject: Descriptor,
  { annotations, artifactType, config, tag, ...layer }: Attachment,
): Promise<void> {
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType,
      config: await pushBytes(config),
      layers: [{ ...(await pushBytes(layer)), annotations }],
      subject,
    }),
  )
  await client.pushManifest(repository, tag ?? digestOf(manifest), manifest, OCI_MANIFEST, { signal })
}

async function pushBytes({ bytes, mediaType }: { bytes: Uint8Array; mediaType: string }): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength }
  await client.pushBlob(
    repository,
    descriptor,
    async function* () {
      yield bytes
    },
    { signal },
  )
  return descriptor
}
