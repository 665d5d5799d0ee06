/**
 * Who asks: made once per request from what the client shows, before anything of a body is read.
 */
export interface Identity {
  kind: 'anonymous' | 'user' | 'key' | 'certificate' | 'peer'
  /**
   * User name, `<issuer>:<name>`, `key:<name>`, `cert:<name>` or peer id; `anonymous` for whoever shows nothing. The
   * name of a user of ours has no colon.
   */
  name: string
  groups: readonly string[]
  /** Name of the issuer whose token a user showed; undefined for a user of ours */
  issuer?: string | undefined
  /** When that token expires; milliseconds since 1970 */
  expires?: number | undefined
  /** Whether a peer had to have the key of a private swarm to connect */
  inSwarm?: boolean | undefined
  /** Whether a peer has a certificate that counts; it may be in no group */
  isTrusted?: boolean | undefined
  /** IP address that the request came from; undefined for a peer */
  address?: string | undefined
}

export const anonymous = 'anonymous'

export function anonymousFrom(address?: string): Identity {
  return { kind: 'anonymous', name: anonymous, groups: [], address }
}

/**
 * @param inSwarm whether it had to have the key of a private swarm to connect
 * @param groups of its certificate; undefined: it has none that counts
 */
export function peerIdentity(id: string, inSwarm: boolean, groups?: readonly string[]): Identity {
  return { kind: 'peer', name: id, groups: groups ?? [], inSwarm, isTrusted: groups !== undefined }
}
