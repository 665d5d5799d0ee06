import type { Request } from 'express'
import { isSafeManifestType, parseMediaType } from '../../oci/manifest/media-types.ts'
import { parseReference, parseTag } from '../../oci/reference.ts'
import { OciError } from '../../oci/errors.ts'
import type { EventSink } from '../../registry/event-sink.ts'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import type { Metrics } from '../../metrics.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { BodyMemory } from '../bodies/body-memory.ts'
import { requestOptions } from '../request-options.ts'
import { repositoryName } from './repository-name.ts'
import { RegistryRouter } from './registry-router.ts'
import { moveListener } from '../middleware/audit.ts'
import { callerOf } from '../middleware/identify.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { readBody } from '../bodies/whole-body.ts'
import { endWith, setHeaders } from '../responses/answer.ts'
import { etag, isNotModified } from '../responses/etag.ts'
import { eventOrigin } from '../middleware/event-origin.ts'
import { countSources, fetchingHeaders, staleHeaders, warnOfDeprecation } from '../responses/provenance.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { addLogFields, route } from '../middleware/request-log.ts'
import { manifestPath, paths } from './paths.ts'

/** Tags that one push may set with `?tag=` */
const maxTags = 100

interface ManifestComponents {
  readOnly: Pick<ReadOnlyMode, 'requireWritable'>
  registry: Registry
  metrics: Metrics
  bodies: BodyMemory
  /** @default nobody hears of events */
  events?: Pick<EventSink, 'raise' | 'wants'> | undefined
}

/**
 * Manifests. They are sent as they were pushed, whatever `Accept` says: converted to another type they would have
 * another digest.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
export function manifestRoutes(
  components: ManifestComponents,
  limits: { maxManifestBytes: number; bodyRate: BodyRate },
): RegistryRouter {
  const router = new RegistryRouter()
  addReading(router, components)
  addWriting(router, components, limits)
  return router
}

function addReading(router: RegistryRouter, { events, metrics, registry }: ManifestComponents): void {
  router
    .route(paths.manifest)
    .all(route('manifest'))
    .get(async (req, res) => {
      const options = requestOptions(req, res)
      const repository = await registry.repository(repositoryName(req, res, registry), callerOf(res))
      const reference = parseReference(req.params.reference)
      options.signs = isSigner(req)
      options.whole = req.method === 'HEAD'
      const manifest = await repository.manifest(reference, options)
      addLogFields(res, { digest: manifest.digest, cid: manifest.root })
      if (options.onlyCached !== true) {
        registry.notePull(repository.name, manifest.digest)
      }
      setHeaders(res, {
        'Docker-Content-Digest': manifest.digest,
        ETag: etag(manifest.digest),
        ...rootHeaders(manifest.root),
        ...staleHeaders(manifest),
        ...fetchingHeaders(manifest),
      })
      warnOfDeprecation(res, registry.deprecation(repository.name, reference.tag) ?? manifest.deprecated)
      // a client that has the image already asks for no more than this
      const origin = options.onlyCached === true ? undefined : eventOrigin(events, ['pull'], req, res)
      if (origin !== undefined) {
        const { digest, mediaType, root: cid, size } = manifest
        const told = { repository: repository.name, tag: reference.tag, digest, mediaType, size, cid, origin }
        events?.raise({ kind: 'pull', ...told })
      }
      if (isNotModified(req, manifest.digest)) {
        res.status(304).end()
        return
      }
      const bytes = req.method === 'HEAD' ? undefined : await manifest.read(options)
      // not res.type(): it would add a charset, which the specification asks registries not to send
      res.setHeader(
        'Content-Type',
        isSafeManifestType(manifest.mediaType) ? manifest.mediaType : 'application/octet-stream',
      )
      res.setHeader('Content-Length', manifest.size)
      countSources(res, metrics, repository.upstream)(manifest.source ?? 'disk', bytes?.byteLength ?? 0)
      endWith(res, bytes)
    })
}

function addWriting(
  router: RegistryRouter,
  { events, readOnly, registry, bodies }: ManifestComponents,
  { maxManifestBytes, bodyRate }: { maxManifestBytes: number; bodyRate: BodyRate },
): void {
  router
    .route(paths.manifest)
    .put(async (req, res) => {
      const caller = callerOf(res)
      const repository = await registry.repository(repositoryName(req, res, registry), caller)
      repository.requireWritable()
      const reference = parseReference(req.params.reference)
      const tags = parseTags(req.query.tag)
      using body = await readBody(req, {
        maxBytes: maxManifestBytes,
        tooLarge: 'MANIFEST_TOO_LARGE',
        rate: bodyRate,
        memory: bodies,
      })
      // while the body came, the mode may have been switched on
      readOnly.requireWritable()
      const contentType = parseMediaType(req.get('Content-Type'))
      const { manifest, subject } = await repository.putManifest({
        reference,
        bytes: body.bytes,
        contentType,
        tags,
        onMove: moveListener(res),
        origin: eventOrigin(events, ['push', 'tag'], req, res),
      })
      addLogFields(res, { digest: manifest.digest, cid: manifest.root })
      res.status(201).set({
        Location: manifestPath(repository.name, manifest.digest),
        'Docker-Content-Digest': manifest.digest,
        ...(caller.may({ action: 'pull', repository: repository.name }) ? rootHeaders(manifest.root) : {}),
        ...(subject === undefined ? {} : { 'OCI-Subject': subject }),
      })
      if (tags.length > 0) {
        res.setHeader('OCI-Tag', tags)
      }
      res.end()
    })
    .delete(async (req, res) => {
      const repository = await registry.repository(repositoryName(req, res, registry), callerOf(res))
      const origin = eventOrigin(events, ['delete'], req, res)
      await repository.deleteManifest(parseReference(req.params.reference), { origin })
      res.status(202).end()
    })
    .all(onlyMethods('GET', 'HEAD', 'PUT', 'DELETE'))
}

/** cosign reads what it signs; it tells its name by itself */
function isSigner(req: Request): boolean {
  return /^cosign\//i.test(req.get('User-Agent') ?? '')
}

function parseTags(query: unknown): string[] {
  const tags = (query === undefined ? [] : [query].flat()).map(tag => parseTag(tag))
  if (tags.length > maxTags) {
    throw new OciError('TAG_INVALID', { detail: { reason: `more than ${maxTags} tags at once` } })
  }
  return [...new Set(tags)]
}

/** The CID of the image root, in our header and in the one that older IPDR programs read */
function rootHeaders(cid: string | undefined): Record<string, string> {
  return cid === undefined ? {} : { 'X-Ipfs-Cid': cid, 'X-Docker-Content-ID': cid }
}
