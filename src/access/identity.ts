/**
 * Who asks: made once per request from what the client shows, before anything of a body is read.
 */
export interface Identity {
  kind: 'anonymous' | 'user' | 'key' | 'peer'
  /** User name, `key:<name>` or peer id; `anonymous` for whoever shows nothing. No user of ours has a colon in it. */
  name: string
  groups: readonly string[]
  /** Whether a peer had to have the key of a private swarm to connect */
  inSwarm?: boolean | undefined
  /** IP address that the request came from; undefined for a peer */
  address?: string | undefined
}

export const anonymous = 'anonymous'

export function anonymousFrom(address?: string): Identity {
  return { kind: 'anonymous', name: anonymous, groups: [], address }
}

/** @param inSwarm whether it had to have the key of a private swarm to connect */
export function peerIdentity(id: string, inSwarm: boolean): Identity {
  return { kind: 'peer', name: id, groups: [], inSwarm }
}
