const maxReasonLength = 200
/** Kinds of failures that are remembered */
const maxRemembered = 200

/** Log-ins that failed in the same way */
export interface FailedLogIn {
  /** The user or key that was claimed; absent where there is none of that name: people also type passwords there */
  user?: string | undefined
  address?: string | undefined
  reason: string
  /** How often */
  count: number
  /** ISO 8601 */
  first: string
  last: string
}

/** The log-ins that failed lately, as far as an administrator may see them: nothing that was shown is remembered */
export class RecentFailures {
  readonly #failures = new Map<string, FailedLogIn>()

  add({ user, address, reason }: Pick<FailedLogIn, 'user' | 'address' | 'reason'>): void {
    const short = reason.slice(0, maxReasonLength)
    const key = JSON.stringify([user, address, short])
    const now = new Date().toISOString()
    const before = this.#failures.get(key)
    this.#failures.delete(key)
    this.#failures.set(key, {
      user,
      address,
      reason: short,
      count: (before?.count ?? 0) + 1,
      first: before?.first ?? now,
      last: now,
    })
    if (this.#failures.size > maxRemembered) {
      this.#failures.delete(this.#failures.keys().next().value!)
    }
  }

  /** The latest first */
  list(): FailedLogIn[] {
    return [...this.#failures.values()].reverse()
  }
}
