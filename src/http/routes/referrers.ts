import { parseDigest } from '../../oci/digest.ts'
import { OCI_INDEX } from '../../oci/manifest/media-types.ts'
import { parsePage } from '../../oci/pagination.ts'
import type { Referrer } from '../../registry/referrer.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import { requestOptions } from '../request-options.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { namespaceOf, repositoryName } from './repository-name.ts'
import { RegistryRouter } from './registry-router.ts'
import { callerOf } from '../middleware/identify.ts'
import { nextPage, paths } from './paths.ts'

/** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers */
export function referrerRoutes({ registry }: { registry: Registry }): RegistryRouter {
  const router = new RegistryRouter()
  router
    .route(paths.referrers)
    .all(route('referrers'))
    .get(async (req, res) => {
      const repository = await registry.repository(repositoryName(req, res, registry), callerOf(res))
      const subject = parseDigest(req.params.digest)
      const page = parsePage(req.query)
      const artifactType =
        typeof req.query.artifactType === 'string' && req.query.artifactType !== '' ? req.query.artifactType : undefined
      const { items, more } = await repository.referrers(subject, page, artifactType, requestOptions(req, res))
      if (artifactType !== undefined) {
        res.set('OCI-Filters-Applied', 'artifactType')
      }
      if (more) {
        res.set(nextPage(req.path, { n: page.limit, last: items.at(-1)?.digest, artifactType, ns: namespaceOf(req) }))
      }
      // as bytes: to the type of a string, Express would add a charset
      res.set('Content-Type', OCI_INDEX).send(indexOf(items))
    })
    .all(onlyMethods('GET', 'HEAD'))
  return router
}

/** @returns an image index of the descriptors */
function indexOf(referrers: Referrer[]): Buffer {
  const head = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }).slice(0, -']}'.length)
  const comma = Buffer.from(',')
  const items = referrers.flatMap(({ json }, i) => (i === 0 ? [json] : [comma, json]))
  return Buffer.concat([Buffer.from(head), ...items, Buffer.from(']}')])
}
