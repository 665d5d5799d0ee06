import type { RegistryEvent } from './registry-event.ts'

/** An event as CloudEvents 1.0 writes it in JSON */
export interface CloudEvent {
  specversion: '1.0'
  id: string
  /** Of this server: `//host:port` */
  source: string
  type: string
  /** `repository:tag`, `repository@digest`, or a CID */
  subject?: string
  time: string
  datacontenttype: 'application/json'
  data: Omit<RegistryEvent, 'id' | 'kind' | 'time' | 'origin'> & Record<string, unknown>
}

export const cloudEventMediaType = 'application/cloudevents+json'

/**
 * @param source of all events of this server
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
 */
export function cloudEvent({ id, kind, time, origin, ...data }: RegistryEvent, source: string): CloudEvent {
  const subject = subjectOf(data)
  const { actor, ...request } = origin ?? { actor: undefined }
  return {
    specversion: '1.0',
    id,
    source,
    type: `ipdr.${kind}`,
    ...(subject === undefined ? {} : { subject }),
    time,
    datacontenttype: 'application/json',
    data: { ...data, ...(origin === undefined ? {} : { actor, request }) },
  }
}

/** What an event is about, in one text */
function subjectOf({
  cid,
  digest,
  repository,
  tag,
}: Pick<RegistryEvent, 'cid' | 'digest' | 'repository' | 'tag'>): string | undefined {
  if (repository === undefined) {
    return cid
  }
  return tag !== undefined ? `${repository}:${tag}` : digest !== undefined ? `${repository}@${digest}` : repository
}
