/** Traces of a real server in a real receiver of OpenTelemetry's protocol */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { emptyJson, imageManifest } from '../fixtures/manifests.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { builtTool } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

interface Span {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
}

interface Received {
  resourceSpans: Array<{
    resource: { attributes: Array<{ key: string; value: { stringValue?: string } }> }
    scopeSpans: Array<{ spans: Span[] }>
  }>
}

const hex = (base64: string): string => Buffer.from(base64, 'base64').toString('hex')

describe('traces', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  const received: Received[] = []
  let endpoint: string

  before(async () => {
    const child = spawn(builtTool('otlp-receiver'), { stdio: ['ignore', 'pipe', 'inherit'] })
    const kill = (): void => {
      child.kill('SIGKILL')
    }
    process.once('exit', kill)
    resources.defer(async () => {
      kill()
      await once(child, 'close')
      process.off('exit', kill)
    })
    const lines = createInterface(child.stdout)
    const [address] = (await once(lines, 'line')) as [string]
    endpoint = `http://${address}`
    lines.on('line', line => received.push(JSON.parse(line)))
  })

  after(async () => {
    await resources.disposeAsync()
  })

  function spans(): Span[] {
    return received.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    )
  }

  async function push(client: RegistryClient, headers: Record<string, string> = {}): Promise<void> {
    assert.equal((await client.pushBlob('team/app', emptyJson)).status, 201)
    const type = 'application/vnd.oci.image.manifest.v1+json'
    const body = imageManifest()
    const options = { body, headers: { 'Content-Type': type, ...headers } }
    assert.equal((await client.request('PUT', '/v2/team/app/manifests/v1', options)).status, 201)
    const pulled = await client.request('GET', '/v2/team/app/manifests/v1', { headers })
    assert.deepEqual(Buffer.from(await pulled.arrayBuffer()), Buffer.from(body))
  }

  it('have the spans of a push and a pull below the span of the client, and those of the server end with it', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    await using server = await ServerProcess.start({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: 'registry-of-tests' },
    })
    await push(new RegistryClient(server), { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
    await server.stop()
    await until('the last spans', () => spans().some(({ name }) => name === 'GET manifest'))
    const [resource] = received[0]!.resourceSpans
    assert.deepEqual(
      resource!.resource.attributes.filter(({ key }) => key === 'service.name').map(({ value }) => value.stringValue),
      ['registry-of-tests'],
    )
    const ofTrace = spans().filter(span => hex(span.traceId) === traceId)
    const [put, get] = ['PUT manifest', 'GET manifest'].map(name => ofTrace.find(span => span.name === name)!)
    assert.deepEqual(
      [put, get].map(span => hex(span!.parentSpanId!)),
      ['00f067aa0ba902b7', '00f067aa0ba902b7'],
    )
    const below = (parent: Span | undefined): Set<string> =>
      new Set(ofTrace.filter(({ parentSpanId }) => parentSpanId === parent?.spanId).map(({ name }) => name))
    for (const name of ['auth.caller', 'index.commit', 'blocks.add', 'blocks.sync']) {
      assert.ok(below(put).has(name), `${name} below PUT: ${[...below(put)]}`)
    }
    for (const name of ['auth.caller', 'index.tag', 'index.manifest', 'blocks.read']) {
      assert.ok(below(get).has(name), `${name} below GET: ${[...below(get)]}`)
    }
    // without a trace of the client each request begins its own
    assert.ok(spans().some(({ name, parentSpanId }) => name === 'PUT upload' && parentSpanId === undefined))
  })

  it('cost requests nothing while the receiver is down, nor the end of the server more than a moment', async () => {
    await using server = await ServerProcess.start({
      // nobody answers there
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' },
    })
    const client = new RegistryClient(server)
    await push(client)
    const began = performance.now()
    for (let i = 0; i < 500; i++) {
      assert.equal((await client.request('HEAD', '/v2/team/app/manifests/v1')).status, 200)
    }
    assert.ok(performance.now() - began < 20_000)
    const reason = /traces are not delivered .*reason="connect ECONNREFUSED 127.0.0.1:9"/
    await until('the log says so', () => reason.test(server.log), 40_000)
    const stopped = performance.now()
    await server.stop()
    assert.ok(performance.now() - stopped < 10_000)
  })

  it('are none without the variables, or where they turn them off', async () => {
    const before = spans().length
    const off: Record<string, string>[] = [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: 'true' }]
    for (const env of off) {
      await using server = await ServerProcess.start({ env })
      await push(new RegistryClient(server))
      await server.stop()
    }
    assert.equal(spans().length, before)
  })
})
