/** A peer sends what no appliance sends; the message says what, and is not for clients */
export class DigestProtocolError extends Error {
  static readonly name = 'DigestProtocolError'
  readonly name = 'DigestProtocolError'

  constructor(what: string, options?: ErrorOptions) {
    super(`a peer sends ${what}`, options)
  }
}
