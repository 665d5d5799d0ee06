/** The text is no IPNS name and no domain, or what a name points to is no IPFS path */
export class InvalidNameError extends Error {
  static readonly name = 'InvalidNameError'
  readonly name = 'InvalidNameError'

  constructor(message = 'No IPNS name and no domain', options?: ErrorOptions) {
    super(message, options)
  }
}

/** DNS was asked, and says that the domain points to nothing in IPFS */
export class NameNotFoundError extends Error {
  static readonly name = 'NameNotFoundError'
  readonly name = 'NameNotFoundError'
  /** How long DNS says that this holds; seconds */
  readonly ttl: number

  constructor(message = 'The name points to nothing', options: ErrorOptions & { ttl?: number } = {}) {
    super(message, options)
    this.ttl = options.ttl ?? 0
  }
}
