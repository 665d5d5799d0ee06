import { parsePage } from '../../oci/pagination.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import { clientSignal, requestOptions } from '../request-options.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { namespaceOf, repositoryName } from './repository-name.ts'
import { RegistryRouter } from './registry-router.ts'
import { callerOf } from '../middleware/identify.ts'
import { nextPage, paths } from './paths.ts'

/**
 * Lists of tags, and the catalog of repositories, which docker defined. With `details=true` a list of tags also has
 * `"details":{"<tag>":{"digest":"...","cid":"...","size":<bytes>}}` for images that are here as a whole.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
export function tagRoutes({ registry }: { registry: Registry }): RegistryRouter {
  const router = new RegistryRouter()
  router
    .route(paths.catalog)
    .all(route('catalog'))
    .get(async (req, res) => {
      const page = parsePage(req.query)
      const { items, more } = await registry.repositories(page, callerOf(res))
      if (more) {
        res.set(nextPage(req.path, { n: page.limit, last: items.at(-1) }))
      }
      res.json({ repositories: items })
    })
    .all(onlyMethods('GET', 'HEAD'))

  router
    .route(paths.tags)
    .all(route('tags'))
    .get(async (req, res) => {
      const repository = await registry.repository(repositoryName(req, res, registry), callerOf(res))
      const page = parsePage(req.query)
      const { items, more } = await repository.tags(page, requestOptions(req, res))
      const wanted = req.query['details'] === 'true' ? 'true' : undefined
      if (more) {
        res.set(nextPage(req.path, { n: page.limit, last: items.at(-1), ns: namespaceOf(req), details: wanted }))
      }
      const { name } = repository
      res.json({
        name,
        tags: items,
        ...(wanted && {
          details: Object.fromEntries(
            await (await registry.overview()).details(name, page, callerOf(res), clientSignal(res)),
          ),
        }),
      })
    })
    .all(onlyMethods('GET', 'HEAD'))
  return router
}
