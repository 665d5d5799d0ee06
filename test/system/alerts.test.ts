/** The alerts of config/prometheus, by promtool: each fires where it should, and not a moment before */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { alertCases, type AlertCase } from '../fixtures/alert-cases.ts'
import { run } from '../fixtures/run.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { installedTool, projectDirectory } from '../fixtures/tools.ts'

const example = join(projectDirectory, 'config/prometheus/prometheus.yml')
const file = join(projectDirectory, 'config/prometheus/alerts.yml')

interface Alert {
  alert: string
  labels: { severity: string }
  annotations: { summary: string; description: string }
}

const place = { job: 'ipdr', instance: 'r:5000' }

/** `a{b="c"}` with the labels of every series of a scrape */
function located(series: string): string {
  const [name, labels] = series.replace('}', '').split('{')
  return `${name}{job="${place.job}",instance="${place.instance}"${labels === undefined ? '' : `,${labels}`}}`
}

function testOf({ alert, annotations, labels: { severity } }: Alert, found: AlertCase): object {
  const { fires, interval = '1m', labels = {}, quiet, series, summary } = found
  const expected = { exp_labels: { ...place, ...labels, severity }, exp_annotations: { ...annotations, summary } }
  return {
    name: alert,
    interval,
    input_series: Object.entries(series).map(([name, values]) => ({ series: located(name), values })),
    alert_rule_test: [
      { eval_time: quiet, alertname: alert, exp_alerts: [] },
      { eval_time: fires, alertname: alert, exp_alerts: [expected] },
    ],
  }
}

describe('the alerts of config/prometheus', { timeout: 600_000 }, () => {
  let alerts: Alert[]

  before(async () => {
    const { groups } = parse(await readFile(file, 'utf8')) as { groups: Array<{ rules: Alert[] }> }
    alerts = groups.flatMap(({ rules }) => rules)
  })

  it('are right to promtool, as is the example of a configuration', async () => {
    await run(installedTool('promtool'), ['check', 'rules', file])
    await run(installedTool('promtool'), ['check', 'config', '--syntax-only', example])
  })

  it('are tried, every one', () => {
    assert.deepEqual(
      [...new Set(alertCases.map(([name]) => name))],
      alerts.map(({ alert }) => alert),
    )
  })

  for (const interval of ['1m', '1h'] as const) {
    it(`fire once where they should, and not before, of what takes ${interval === '1h' ? 'days' : 'minutes'}`, async () => {
      await using directory = await temporaryDirectory('alerts')
      const tests = alertCases
        .filter(([, found]) => (found.interval ?? '1m') === interval)
        .map(([name, found]) => testOf(alerts.find(({ alert }) => alert === name)!, found))
      const path = join(directory.path, 'tests.json')
      await writeFile(path, JSON.stringify({ rule_files: [file], evaluation_interval: interval, tests }))
      await run(installedTool('promtool'), ['test', 'rules', path])
    })
  }
})
