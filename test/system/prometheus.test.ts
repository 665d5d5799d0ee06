/** A real Prometheus scrapes a real server, with the configuration, alerts and dashboard that config/prometheus has */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { dashboardJson, dashboardQueries } from '../../scripts/dashboard.ts'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { sha256 } from '../fixtures/images.ts'
import { Prometheus } from '../fixtures/prometheus.ts'
import { tryRun } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { installedTool, projectDirectory } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 2 ** 20
const folder = join(projectDirectory, 'config/prometheus')
const alertsFile = join(folder, 'alerts.yml')

interface Example {
  scrape_configs: [{ job_name: string; authorization: object; static_configs: object }]
}

describe('Prometheus', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let prometheus: Prometheus
  let metrics: string

  before(async () => {
    const directory = resources.use(await temporaryDirectory('prometheus')).path
    await mkdir(join(directory, 'tls'))
    const authority = await CertificateAuthority.create(join(directory, 'tls'))
    server = resources.use(
      await ServerProcess.start({
        dataDir: join(directory, 'data'),
        tls: await authority.issue('server'),
        // nobody answers there
        args: ['--storage-max-bytes', '4MiB', '--webhook', 'ci=http://127.0.0.1:9/', '--upstream', 'up.test'],
      }),
    )
    const tokenFile = join(server.dataDir, 'admin.token')
    const token = (await readFile(tokenFile, 'utf8')).trim()
    metrics = String((await send('GET', '/metrics', { Authorization: `Bearer ${token}` })).body)
    const example = parse(await readFile(join(folder, 'prometheus.yml'), 'utf8')) as Example
    const [job] = example.scrape_configs
    prometheus = resources.use(
      await Prometheus.start(directory, {
        ...example,
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: [alertsFile],
        scrape_configs: [
          {
            ...job,
            scheme: 'https',
            tls_config: { insecure_skip_verify: true },
            authorization: { credentials_file: tokenFile },
            static_configs: [{ targets: [server.host] }],
          },
        ],
      }),
    )
    await until('two scrapes', async () => (await prometheus.query('sum_over_time(up[1m]) >= 2')).length === 1, 30_000)
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function send(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    content?: Uint8Array,
  ): Promise<{ status: number | undefined; body: Buffer }> {
    const req = request(new URL(path, server.url), { method, headers, rejectUnauthorized: false, agent: false })
    req.end(content)
    const [response] = (await once(req, 'response')) as [IncomingMessage]
    return { status: response.statusCode, body: await buffer(response) }
  }

  async function push(): Promise<number | undefined> {
    const blob = randomBytes(2 * mebibyte)
    return (await send('POST', `/v2/team/app/blobs/uploads/?digest=${sha256(blob)}`, {}, blob)).status
  }

  it('finds nothing wrong with the metrics', async () => {
    const { code, stderr, stdout } = await tryRun(installedTool('promtool'), ['check', 'metrics'], { input: metrics })
    assert.deepEqual([code, stdout, stderr], [0, '', ''])
  })

  it('has every metric that the alerts and the dashboard ask for', async () => {
    const asked = [await readFile(alertsFile, 'utf8'), ...dashboardQueries].flatMap(
      text => text.match(/\b(?:ipdr|process|nodejs)_[a-z0-9_]+\b/g) ?? [],
    )
    const there = new Set(Array.from(metrics.matchAll(/^# HELP (\S+)/gm), ([, name]) => name))
    assert.ok(new Set(asked).size > 30)
    assert.deepEqual(
      [...new Set(asked.map(name => name.replace(/_bucket$/, '')))].filter(name => !there.has(name)),
      [],
    )
  })

  it('loads every alert, and raises none but for a certificate that expires within a day', async () => {
    const names = (await readFile(alertsFile, 'utf8')).matchAll(/alert: (\w+)/g)
    const rules = await until('all rules were evaluated', async () => {
      const found = await prometheus.rules()
      return found.every(({ health }) => health !== 'unknown') && found
    })
    assert.deepEqual(
      rules.map(({ name, health }) => [name, health]),
      Array.from(names, ([, name]) => [name, 'ok']),
    )
    const firing = rules.filter(({ state }) => state === 'firing')
    assert.deepEqual(
      firing.map(({ name }) => name),
      ['IpdrCertificateExpires'],
    )
  })

  it('answers every query of the dashboard, which is what its script makes', async () => {
    assert.equal(await readFile(join(folder, 'dashboard.json'), 'utf8'), dashboardJson())
    for (const query of dashboardQueries) {
      await prometheus.query(query.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*'))
    }
  })

  it('raises an alert when pushes are refused, and sees that a server is gone', async () => {
    const stateOf = async (alert: string): Promise<string | undefined> =>
      (await prometheus.rules()).find(({ name }) => name === alert)?.state
    assert.equal(await push(), 201)
    assert.equal(await push(), 507)
    await until('the alert fires', async () => (await stateOf('IpdrWritesRefused')) === 'firing', 30_000)
    assert.equal(await stateOf('IpdrDown'), 'inactive')
    await server.stop()
    await until('the alert waits', async () => (await stateOf('IpdrDown')) === 'pending', 30_000)
  })
})
