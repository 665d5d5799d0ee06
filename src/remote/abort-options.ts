/** What every call of the client takes: a signal that ends its waiting */
export interface AbortOptions {
  signal?: AbortSignal | undefined
}
