import type { Router } from 'express'
import type { Caller } from '../../access/caller.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { toDockerFormat } from '../../oci/cid.ts'
import { OciError } from '../../oci/errors.ts'
import { parseName, parseReference, type Reference } from '../../oci/reference.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { Repository, RequestOptions } from '../../registry/repository.ts'
import { requestOptions } from '../request-options.ts'
import { textBody } from '../error-response.ts'
import { errorHandler } from '../middleware/error-handler.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { addLogFields, route } from '../middleware/request-log.ts'
import { createRouter } from './router.ts'
import { callerOf } from '../middleware/identify.ts'

interface Question {
  name: string
  reference: Reference | undefined
}

const pageSize = 1000
const notHere = new Set(['MANIFEST_UNKNOWN', 'NAME_UNKNOWN', 'NAME_INVALID', 'DENIED', 'UNAUTHORIZED'])

/**
 * `GET /dig?q=name[:tag]&short=true`: the CID of a tag; without `short` its manifest; without a tag the list of tags,
 * one a line. With `json=true` CID and digest, or the tags, come as JSON. This endpoint and its answers are those of
 * older IPDR programs, which still ask for it.
 */
export function digRoutes({ registry, ...components }: { registry: Registry; log: Logger; metrics: Metrics }): Router {
  const router = createRouter()
  router
    .route('/dig')
    .all(route('dig'))
    .get(async (req, res) => {
      const { q, short, json } = req.query
      if (typeof q !== 'string' || q === '') {
        throw new OciError('REQUEST_INVALID', {
          detail: { reason: "Required parameter 'q' missing. /dig?q=name:tag&short=true" },
        })
      }
      const options = requestOptions(req, res)
      const { name, reference, repository } = await find(registry, q, callerOf(res))
      if (reference === undefined) {
        const tags = await tagsOf(repository, options)
        json === 'true' ? res.json({ name, tags }) : res.type('text/plain').send(tags.map(tag => `${tag}\n`).join(''))
        return
      }
      const manifest = await repository.manifest(reference, options)
      const { digest, root } = manifest
      addLogFields(res, { digest, cid: root })
      res.set({ 'X-Ipfs-Cid': root, 'X-Docker-Content-ID': root, 'Docker-Content-Digest': digest })
      if (json === 'true') {
        res.json({ name, ...reference, cid: root, digest })
      } else if (short === 'true' || short === '1') {
        res.type('text/plain').send(`${root}\n`)
      } else {
        res.type('application/json').send(Buffer.concat([await manifest.read(options), Buffer.from('\n')]))
      }
    })
    .all(onlyMethods('GET', 'HEAD'))
  router.use(errorHandler(components, textBody))
  return router
}

/**
 * The repository that a question names. If the name may begin with a host, a repository with the whole name comes
 * first.
 */
async function find(registry: Registry, text: string, caller: Caller): Promise<Question & { repository: Repository }> {
  const [whole, withoutHost] = readingsOf(text)
  if (withoutHost !== undefined) {
    try {
      const question = parseQuestion(whole)
      const repository = await registry.repository(question.name, caller)
      await (question.reference === undefined
        ? repository.tags({ limit: 1, last: undefined })
        : repository.manifest(question.reference))
      return { ...question, repository }
    } catch (err) {
      if (!notHere.has((err as OciError).code)) {
        throw err
      }
    }
  }
  const question = parseQuestion(withoutHost ?? whole)
  return { ...question, repository: await registry.repository(question.name, caller) }
}

/**
 * What a question may mean: without its `host:port/`; or, if it is not certain that it begins with a host, both as it
 * is and without it
 */
function readingsOf(text: string): [string, string?] {
  const slash = text.indexOf('/')
  const first = text.slice(0, Math.max(slash, 0))
  const rest = text.slice(slash + 1)
  if (first === 'localhost' || /^([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(first)) {
    return [rest]
  }
  return first.includes('.') ? [text, rest] : [text]
}

/** @throws OciError NAME_INVALID, TAG_INVALID, DIGEST_INVALID */
function parseQuestion(text: string): Question {
  const [, path, reference] = /^([^:@]*)(?:[:@](.*))?$/s.exec(text)!
  const name = parseName(toDockerFormat(path!) ?? path)
  return { name, reference: reference === undefined ? undefined : parseReference(reference) }
}

async function tagsOf(repository: Repository, options: RequestOptions): Promise<string[]> {
  const tags: string[] = []
  for (let more = true; more; ) {
    const page = await repository.tags({ limit: pageSize, last: tags.at(-1) }, options)
    tags.push(...page.items)
    more = page.more
  }
  return tags
}
