import type { RequestHandler, Router } from 'express'
import type { Administration } from '../../upkeep/administration.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { clientSignal } from '../request-options.ts'
import { invalid, requireJson, type JsonReader } from './admin-json.ts'

/**
 * What an operator asks of the IPFS node:
 *
 * ```
 * GET  /ipdr/v1/peers                    {"peers":[...]}
 * POST /ipdr/v1/peers {"address":"..."}  connects to a peer; {"peer":"<id>"}
 * GET  /ipdr/v1/resolve?name=<name>      {"name":"...","cid":"...","path":[...],"ttl":<seconds>}
 * POST /ipdr/v1/publish                  publishes the tags under the IPNS name; {"name":"k51...","cid":"..."}
 * ```
 */
export function addNetworkRoutes(
  router: Router,
  administration: Administration,
  guard: RequestHandler[],
  jsonOf: JsonReader,
): void {
  router
    .route('/ipdr/v1/peers')
    .all(guard)
    .get((_req, res) => {
      res.json({ peers: administration.peers() })
    })
    .post(requireJson, async (req, res) => {
      const signal = clientSignal(res)
      const { address } = await jsonOf(req)
      if (typeof address !== 'string') {
        throw invalid('address must be a multiaddr')
      }
      res.json({ peer: await administration.connect(address, { signal }) })
    })
    .all(onlyMethods('GET', 'HEAD', 'POST'))

  router
    .route('/ipdr/v1/resolve')
    .all(guard)
    .get(async (req, res) => {
      const { name } = req.query
      if (typeof name !== 'string' || name === '') {
        throw invalid("Required parameter 'name' missing")
      }
      res.json({ name, ...(await administration.resolve(name, { signal: clientSignal(res) })) })
    })
    .all(onlyMethods('GET', 'HEAD'))

  router
    .route('/ipdr/v1/publish')
    .all(guard)
    .post(requireJson, async (_req, res) => {
      res.json(await administration.publish())
    })
    .all(onlyMethods('POST'))
}
