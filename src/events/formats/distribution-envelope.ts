import type { RegistryEvent } from './registry-event.ts'

export const envelopeMediaType = 'application/vnd.docker.distribution.events.v2+json'

export interface DistributionEvent {
  id: string
  timestamp: string
  action: 'push' | 'pull' | 'delete'
  target: {
    mediaType?: string
    size?: number
    digest?: string
    /** The same as the size, for old receivers */
    length?: number
    repository?: string
    url?: string
    tag?: string
  }
  request: { id: string; addr?: string; host?: string; method: string; useragent: string }
  actor: { name?: string }
  source: { addr: string; instanceID: string }
}

/**
 * An event as the registry of the CNCF's distribution project writes it
 *
 * @see https://distribution.github.io/distribution/about/notifications/
 */
export function distributionEnvelope(
  { digest, id, kind, mediaType, origin, repository, size, tag, time }: RegistryEvent,
  source: DistributionEvent['source'],
): { events: DistributionEvent[] } {
  const url =
    origin === undefined || digest === undefined || kind === 'delete'
      ? undefined
      : `${origin.url}/v2/${repository}/manifests/${digest}`
  return {
    events: [
      {
        id,
        timestamp: time,
        action: kind as DistributionEvent['action'],
        target: given({ mediaType, size, digest, length: size, repository, url, tag }),
        request: {
          id: origin?.id ?? '',
          ...given({ addr: origin?.address, host: origin?.url.replace(/^https?:\/\//, '') }),
          method: origin?.method ?? '',
          useragent: origin?.agent ?? '',
        },
        actor: given({ name: origin?.actor }),
        source,
      },
    ],
  }
}

type Given<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> }

/** Without what is undefined */
function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>
}
