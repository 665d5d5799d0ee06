import type { RateLimitState, UpstreamError, UpstreamState } from '../registry/upstream.ts'

/** What is remembered of how an upstream answers, for who runs this registry */
export class UpstreamNotes {
  rateLimit: RateLimitState | undefined
  #answered: string | undefined
  #failed: UpstreamState['failed']

  answered({ headers, status }: Pick<Response, 'headers' | 'status'>): void {
    const time = new Date().toISOString()
    if (status < 500 && status !== 429) {
      this.#answered = time
    }
    this.rateLimit = rateLimitIn(headers, time) ?? this.rateLimit
  }

  failed({ message, reason }: Pick<UpstreamError, 'message' | 'reason'>): void {
    this.#failed = { time: new Date().toISOString(), reason, message }
  }

  /** @param pause milliseconds for which it is still to be left alone */
  state(pause: number): Pick<UpstreamState, 'answered' | 'failed' | 'pausedUntil' | 'rateLimit'> {
    return {
      answered: this.#answered,
      failed: this.#failed,
      pausedUntil: pause > 0 ? new Date(Date.now() + pause).toISOString() : undefined,
      rateLimit: this.rateLimit,
    }
  }
}

/**
 * Such as `RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600`, of Docker Hub
 *
 * @see https://docs.docker.com/docker-hub/usage/pulls/
 */
function rateLimitIn(headers: Headers, time: string): RateLimitState | undefined {
  const [remaining, ofRemaining] = partsOf(headers.get('RateLimit-Remaining'))
  const [limit, ofLimit] = partsOf(headers.get('RateLimit-Limit'))
  return remaining === undefined ? undefined : { time, remaining, limit, window: ofRemaining ?? ofLimit }
}

/** @returns the number and its window in seconds */
function partsOf(value: string | null): [number | undefined, number | undefined] {
  const [, number, window] = /^(\d{1,12})(?:\s*;\s*w=(\d{1,9}))?/.exec(value ?? '') ?? []
  return [numberOf(number), numberOf(window)]
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}
