/** The text is not an IPNS name or domain, or the name points to something that is not an IPFS path */
export class InvalidNameError extends Error {
  static readonly name = 'InvalidNameError'
  readonly name = 'InvalidNameError'

  constructor(message = 'Not an IPNS name or domain', options?: ErrorOptions) {
    super(message, options)
  }
}

/** The domain has no DNSLink: DNS answered, and had no valid one */
export class NameNotFoundError extends Error {
  static readonly name = 'NameNotFoundError'
  readonly name = 'NameNotFoundError'
  /** For how many seconds DNS says that this holds */
  readonly ttl: number

  constructor(message = 'The name points to nothing', options: ErrorOptions & { ttl?: number } = {}) {
    super(message, options)
    this.ttl = options.ttl ?? 0
  }
}
