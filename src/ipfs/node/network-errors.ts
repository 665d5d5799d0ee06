/** An option of the network can't be used: an address, a swarm key, or options that exclude each other */
export class NetworkConfigError extends Error {
  static readonly name = 'NetworkConfigError'
  readonly name = 'NetworkConfigError'
}

/** The node can't listen where it was told to */
export class ListenError extends Error {
  static readonly name = 'ListenError'
  readonly name = 'ListenError'
}

/** The node has no network: its profile is offline, or it has not started */
export class NodeOfflineError extends Error {
  static readonly name = 'NodeOfflineError'
  readonly name = 'NodeOfflineError'

  constructor(message = 'the IPFS node is not connected to a network', options?: ErrorOptions) {
    super(message, options)
  }
}
