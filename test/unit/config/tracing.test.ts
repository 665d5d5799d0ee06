import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tracingConfig } from '../../../src/config/load.ts'

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }
const all = { sampler: { name: 'always_on', isParentBased: true, ratio: 1 }, problems: [] }

describe('the variables of OpenTelemetry', () => {
  it('ask for traces only where they name a receiver', () => {
    assert.equal(tracingConfig({}), undefined)
    assert.equal(tracingConfig({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), undefined)
    assert.equal(tracingConfig({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), undefined)
    assert.deepEqual(tracingConfig(endpoint), all)
    assert.deepEqual(tracingConfig({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }), all)
  })

  it('choose the sampler', () => {
    const env = { ...endpoint, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }
    assert.deepEqual(tracingConfig(env)?.sampler, { name: 'traceidratio', isParentBased: false, ratio: 0.25 })
  })

  it('leave the default and a warning where they are wrong', () => {
    const found = tracingConfig({
      ...endpoint,
      OTEL_TRACES_SAMPLER: 'jaeger_remote',
      OTEL_TRACES_SAMPLER_ARG: 'many',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    })
    assert.deepEqual(found?.sampler, all.sampler)
    assert.deepEqual(
      found?.problems.map(problem => problem.split(' ')[0]),
      ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG'],
    )
  })
})
