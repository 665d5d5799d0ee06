import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Ajv } from 'ajv'
import { cloudEvent } from '../../../../src/events/formats/cloud-event.ts'
import { distributionEnvelope, envelopeMediaType } from '../../../../src/events/formats/distribution-envelope.ts'
import type { RegistryEvent } from '../../../../src/events/formats/registry-event.ts'

const digest = `sha256:${'1'.repeat(64)}` as const
const push: RegistryEvent = {
  id: '019ae0b6-8a10-7000-8abc-0123456789ab',
  kind: 'push',
  time: '2026-11-30T14:00:00.000Z',
  repository: 'team/app',
  tag: 'v1',
  digest,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: 482,
  cid: 'bafyroot',
  origin: {
    actor: 'alice',
    id: 'request-1',
    address: '192.0.2.7',
    url: 'https://registry.example:5000',
    method: 'PUT',
    agent: 'docker/29.1',
  },
}
const byGc: RegistryEvent = { ...push, kind: 'delete', tag: undefined, origin: undefined, reason: 'untagged' }
const repair: RegistryEvent = { id: push.id, kind: 'repair', time: push.time, cid: 'bafyblock', reason: 'lost' }

/**
 * What the JSON schema of CloudEvents 1.0 asks for
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/cloudevents.json
 */
const text = { type: 'string', minLength: 1 }
const cloudEventSchema = {
  type: 'object',
  required: ['id', 'source', 'specversion', 'type'],
  properties: {
    id: text,
    source: { ...text, pattern: '^//[^/\\s]+$' },
    specversion: { const: '1.0' },
    type: text,
    datacontenttype: text,
    subject: text,
    time: { ...text, pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$' },
    data: { type: 'object' },
  },
  // names of extensions: lower case and digits
  patternProperties: { '^[a-z0-9]{1,20}$': {} },
  additionalProperties: false,
}

/** As a receiver sees it */
function sent<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

describe('an event as a CloudEvent', () => {
  it('has the attributes of the specification, and what happened as its data', () => {
    const { actor, ...request } = push.origin!
    assert.deepEqual(sent(cloudEvent(push, '//host:5000')), {
      specversion: '1.0',
      id: push.id,
      source: '//host:5000',
      type: 'ipdr.push',
      subject: 'team/app:v1',
      time: push.time,
      datacontenttype: 'application/json',
      data: {
        repository: 'team/app',
        tag: 'v1',
        digest,
        mediaType: push.mediaType,
        size: 482,
        cid: 'bafyroot',
        actor,
        request,
      },
    })
  })

  it('is valid for every kind of event', () => {
    const isValid = new Ajv({ allErrors: true }).compile(cloudEventSchema)
    for (const event of [push, byGc, repair, { ...push, tag: undefined, digest: undefined }]) {
      assert.ok(isValid(sent(cloudEvent(event, '//host:5000'))), JSON.stringify(isValid.errors))
    }
    assert.equal(cloudEvent(byGc, '//host').subject, `team/app@${digest}`)
    assert.equal(cloudEvent(repair, '//host').subject, 'bafyblock')
  })
})

describe('an event in the envelope of distribution', () => {
  const source = { addr: 'host:5000', instanceID: 'instance-1' }

  it('has every field that distribution gives to a push', () => {
    assert.equal(envelopeMediaType, 'application/vnd.docker.distribution.events.v2+json')
    assert.deepEqual(sent(distributionEnvelope(push, source)), {
      events: [
        {
          id: push.id,
          timestamp: push.time,
          action: 'push',
          target: {
            mediaType: push.mediaType,
            size: 482,
            digest,
            length: 482,
            repository: 'team/app',
            url: `https://registry.example:5000/v2/team/app/manifests/${digest}`,
            tag: 'v1',
          },
          request: {
            id: 'request-1',
            addr: '192.0.2.7',
            host: 'registry.example:5000',
            method: 'PUT',
            useragent: 'docker/29.1',
          },
          actor: { name: 'alice' },
          source,
        },
      ],
    })
  })

  it('has those of a delete, also of one that no request asked for', () => {
    assert.deepEqual(sent(distributionEnvelope(byGc, source)).events, [
      {
        id: push.id,
        timestamp: push.time,
        action: 'delete',
        target: { mediaType: push.mediaType, size: 482, digest, length: 482, repository: 'team/app' },
        request: { id: '', method: '', useragent: '' },
        actor: {},
        source,
      },
    ])
  })

  it('is written whatever host a client makes up', () => {
    const url = 'http://a:b:c'
    const [event] = distributionEnvelope({ ...push, origin: { ...push.origin!, url } }, source).events
    assert.equal(event!.request.host, 'a:b:c')
  })
})
