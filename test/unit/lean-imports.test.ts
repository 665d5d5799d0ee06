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

describe('the server', () => {
  it('loads no native library but that of its index', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: `${import.meta.dirname}/../..`,
    })
    const loaded = (JSON.parse(stdout) as string[])
      .filter(path => path.endsWith('.node'))
      .map(path => /node_modules\/([^/]+)/.exec(path)?.[1])
    assert.deepEqual(loaded, ['classic-level'])
  })
})
