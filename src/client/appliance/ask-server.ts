import type { Peer } from '../../ipfs/node/peer.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { clockSkew } from '../../remote/http/clock-skew.ts'
import { ApplianceClient, type Connection } from './appliance-client.ts'

/** What a running server tells of itself */
export interface ServerState {
  ready: boolean
  /** What it says to that, such as `OK` */
  text: string
  /** Milliseconds by which its clock is ahead of ours */
  skew: number | undefined
  /** Undefined where it is not ready */
  peers: Peer[] | undefined
}

const maxTextBytes = 1000

/** @throws ClientError where no server answers, and where it does not answer as one of ours */
export async function askServer(connection: Connection, { signal }: AbortOptions): Promise<ServerState> {
  const sent = Date.now()
  const answer = await connection.request('/readyz', { signal })
  const skew = clockSkew(answer.headers, sent, Date.now())
  const text = (await answer.text(maxTextBytes)).trim()
  const ready = answer.status === 200
  return { ready, text, skew, peers: ready ? await new ApplianceClient(connection).peers({ signal }) : undefined }
}
