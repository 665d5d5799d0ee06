import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

const script = `
  const { leaveOutUnused } = await import('./src/lean-imports.ts')
  leaveOutUnused()
  await import('./src/appliance/appliance.ts')
  process.report.excludeNetwork = true
  console.log(JSON.stringify(process.report.getReport().sharedObjects))`

const listing = `
  const loaded = []
  const { registerHooks } = await import('node:module')
  registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context) } })
  const { leaveOutUnused } = await import('./src/lean-imports.ts')
  leaveOutUnused()
  const { readStartInputs } = await import('./src/appliance/checks/start-inputs.ts')
  await import('./src/appliance/appliance.ts')
  const { parseConfig } = await import('./src/config/load.ts')
  const { recordingLog } = await import('./test/fixtures/recording-log.ts')
  const isOfUpstreams = url => /\\/src\\/(upstream|remote)\\/|\\/node_modules\\/undici\\//.test(url)
  const counts = []
  for (const upstreams of [[], ['docker.io']]) {
    await readStartInputs({ log: recordingLog() }, parseConfig({ port: 0, network: 'offline', upstreams }))
    counts.push(loaded.filter(isOfUpstreams).length)
  }
  console.log(JSON.stringify(counts))`

async function run(code: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: `${import.meta.dirname}/../..`,
  })
  return JSON.parse(stdout)
}

/** Tells which packages are loaded, and files of ours from `src` on */
const lazyScript = `
  const { registerHooks } = await import('node:module')
  const found = new Set()
  registerHooks({
    load(url, context, nextLoad) {
      found.add(/node_modules\\/((?:@[^/]+\\/)?[^/]+)|\\/src\\/.+/.exec(url)?.slice(0, 2).findLast(Boolean))
      return nextLoad(url, context)
    },
  })
  const { leaveOutUnused } = await import('./src/lean-imports.ts')
  leaveOutUnused()
  await import('./src/appliance/appliance.ts')
  console.log(JSON.stringify([...found].filter(Boolean)))`

/** Tells which commands are loaded for one of them; a flag that it does not have keeps it from being run */
const commandScript = (name: string): string => `
  const loaded = []
  const { registerHooks } = await import('node:module')
  registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context) } })
  const { run } = await import('./src/cli/program.ts')
  process.stderr.write = () => true
  await run(['${name}', '--none'])
  console.log(JSON.stringify(loaded.flatMap(url => /\\/src\\/cli\\/commands\\/(.+)\\.ts$/.exec(url)?.[1] ?? [])))`

describe('the server', () => {
  it('loads none of the other commands', async () => {
    assert.deepEqual(await run(commandScript('server')), ['server', 'version'])
    assert.ok(((await run(commandScript('dig'))) as string[]).length > 20)
  })

  it('loads nothing for upstreams where there are none', async () => {
    const [without, withOne] = (await run(listing)) as [number, number]
    assert.equal(without, 0)
    assert.ok(withOne > 10)
  })

  it('loads nothing that stores or sends events where no webhook is configured', async () => {
    const loaded = ((await run(lazyScript)) as string[]).filter(name => name.includes('/src/events/'))
    assert.deepEqual(loaded.map(name => name.slice('/src/events/'.length)).toSorted(), [
      'event-id.ts',
      'event-log.ts',
      'events.ts',
      'formats/cloud-event.ts',
    ])
  })

  it('loads no native library but that of its index', async () => {
    const loaded = ((await run(script)) as string[])
      .filter(path => path.endsWith('.node'))
      .map(path => /node_modules\/([^/]+)/.exec(path)?.[1])
    assert.deepEqual(loaded, ['classic-level'])
  })

  it('loads neither clients of OpenID Connect nor tokens, nor bcrypt, before somebody logs in', async () => {
    const loaded = (await run(lazyScript)) as string[]
    assert.ok(loaded.includes('express'))
    assert.deepEqual(
      ['openid-client', 'oauth4webapi', 'jose', 'bcryptjs', 'helmet'].filter(name => loaded.includes(name)),
      [],
    )
  })

  it('loads nothing of the pages before somebody opens one', async () => {
    const loaded = (await run(lazyScript)) as string[]
    assert.ok(loaded.some(name => name.endsWith('/src/http/routes/ui.ts')))
    assert.deepEqual(
      loaded.filter(name => /\/src\/(http\/pages|registry\/overview)\/|^(@preact|preact)/.test(name)),
      [],
    )
  })

  it('loads nothing that verifies signatures where no image must be signed', async () => {
    const loaded = (await run(lazyScript)) as string[]
    assert.deepEqual(
      loaded.filter(name => name.includes('@sigstore/') || name.includes('/src/registry/signatures/')),
      [],
    )
  })

  it('loads nothing of OpenTelemetry where nobody collects traces', async () => {
    const loaded = (await run(lazyScript)) as string[]
    // prom-client imports the API, which does nothing by itself
    assert.deepEqual(
      loaded.filter(name => /@opentelemetry\/(?!api$)|\/tracing\//.test(name)),
      [],
    )
  })

  it('loads nothing that rebuilds the index', async () => {
    const loaded = ((await run(lazyScript)) as string[]).filter(name => name.includes('/src/upkeep/rebuild/'))
    assert.deepEqual(loaded.map(name => name.slice(name.lastIndexOf('/') + 1)).toSorted(), [
      'block-list-upgrade.ts',
      'index-rebuilder.ts',
      'manifest-upgrade.ts',
    ])
  })
})
