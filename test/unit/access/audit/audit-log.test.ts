import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { AuditLog, type AuditRecord } from '../../../../src/access/audit/audit-log.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { replaceHandles, systemError } from '../../../fixtures/replace-fs.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'
import { until } from '../../../fixtures/until.ts'

const push: AuditRecord = { action: 'push', outcome: 'allowed' }

interface Opened extends AsyncDisposable {
  audit: AuditLog
  path: string
  log: ReturnType<typeof recordingLog>
  lines: (suffix?: string) => Promise<Record<string, unknown>[]>
}

async function opened(init: { maxBytes?: number; files?: number } = {}): Promise<Opened> {
  const directory = await temporaryDirectory('audit')
  const path = join(directory.path, 'audit.log')
  const log = recordingLog()
  const audit = new AuditLog({ log }, { path, maxBytes: 2 ** 20, files: 2, retryInterval: 10, ...init })
  await audit.start()
  return {
    audit,
    path,
    log,
    lines: async (suffix = '') => {
      const text = await readFile(`${path}${suffix}`, 'utf8')
      assert.ok(text === '' || text.endsWith('\n'))
      return text
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line) as Record<string, unknown>)
    },
    [Symbol.asyncDispose]: async () => {
      await audit.stop()
      await directory[Symbol.asyncDispose]()
    },
  }
}

describe('an audit log', () => {
  it('has a line for each record, in order, for its owner alone', async () => {
    await using log = await opened()
    for (let i = 0; i < 2000; i++) {
      log.audit.write({ ...push, number: i })
    }
    await log.audit.stop()
    const lines = await log.lines()
    assert.deepEqual(
      lines.map(line => line['number']),
      Array.from({ length: 2000 }, (_, i) => i),
    )
    assert.ok(!Number.isNaN(Date.parse(String(lines[0]!['time']))))
    assert.equal((await stat(log.path)).mode & 0o777, 0o600)
  })

  it('closes a file that others can read', async () => {
    await using log = await opened()
    await log.audit.stop()
    await chmod(log.path, 0o644)
    await log.audit.start()
    assert.equal((await stat(log.path)).mode & 0o777, 0o600)
  })

  it('can not be forged by what it is told, whatever that is', async () => {
    await using log = await opened()
    const texts = fc.sample(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), 300)
    const hostile = [
      'a"\n{"action":"forged"}\n',
      'a\u2028b\u2029\u0085',
      '\u202e\u0000\u007f\u009b1m',
      'x'.repeat(5000),
      '\ud800',
    ]
    const all = [...hostile, ...texts]
    all.forEach(text => {
      log.audit.write({ ...push, who: text })
    })
    await log.audit.stop()
    const bytes = await readFile(log.path)
    assert.ok(bytes.every(byte => byte === 0x0a || (byte >= 0x20 && byte < 0x7f)))
    const lines = await log.lines()
    assert.equal(lines.length, all.length)
    lines.forEach(({ action, who }, i) => {
      const text = all[i]!
      assert.equal(action, 'push')
      assert.equal(who, text.length > 300 ? `${text.slice(0, 300)}...` : text)
    })
  })

  it('begins a new file at its size, and keeps so many old ones', async () => {
    await using log = await opened({ maxBytes: 1000 })
    for (let i = 0; i < 40; i++) {
      log.audit.write({ ...push, number: i, text: 'x'.repeat(200) })
      // one batch each
      await until('it is written', async () => (await log.lines()).at(-1)?.['number'] === i)
    }
    const kept = (await Promise.all(['.2', '.1', ''].map(async suffix => await log.lines(suffix)))).flat()
    assert.deepEqual(
      kept.map(line => line['number']),
      Array.from({ length: kept.length }, (_, i) => 40 - kept.length + i),
      'the newest, without a gap',
    )
    for (const suffix of ['', '.1', '.2']) {
      const { mode, size } = await stat(`${log.path}${suffix}`)
      assert.ok(size <= 1000)
      assert.equal(mode & 0o777, 0o600)
    }
    await assert.rejects(stat(`${log.path}.3`))
  })

  it('goes on in a new file where somebody has moved it away', async () => {
    await using log = await opened()
    log.audit.write({ ...push, number: 1 })
    await until('it is written', async () => (await log.lines()).length === 1)
    await rename(log.path, `${log.path}.moved`)
    log.audit.write({ ...push, number: 2 })
    await until('it is written', async () => (await stat(log.path).catch(() => undefined)) !== undefined)
    await log.audit.stop()
    assert.deepEqual(
      (await log.lines()).map(line => line['number']),
      [2],
    )
  })

  it('waits for room on the disk, tells it once, and says what it lost', async () => {
    await using log = await opened({ maxBytes: 2 ** 24 })
    let isFull = true
    {
      using _replaced = replaceHandles((_path, handle) => {
        const { appendFile } = handle
        return {
          appendFile: async data => {
            if (isFull) {
              // as a disk does that gets full half-way
              await appendFile.call(handle, String(data).slice(0, 10))
              throw systemError('ENOSPC')
            }
            await appendFile.call(handle, data)
          },
        }
      })
      // opened anew, with the replacement
      await log.audit.stop()
      await log.audit.start()
      log.audit.write({ ...push, number: 0 })
      await until('a complaint', () => log.log.lines.some(({ message }) => message.includes("can't be written")))
      for (let i = 1; i <= 5000; i++) {
        log.audit.write({ ...push, number: i, text: 'x'.repeat(290) })
      }
      isFull = false
      await until('it goes on', () => log.log.lines.some(({ message }) => message.includes('written again')))
      await until('the last line', async () => (await log.lines()).at(-1)?.['action'] === 'audit')
    }
    const lines = await log.lines()
    const lost = Number(lines.at(-1)!['lost'])
    assert.ok(lost > 0 && lost < 5000)
    assert.deepEqual(
      lines.slice(0, -1).map(line => line['number']),
      Array.from({ length: 5001 - lost }, (_, i) => i),
    )
    assert.ok((await stat(log.path)).size < 1.1 * 2 ** 20, 'what waits in memory is bounded')
    assert.equal(log.log.lines.filter(({ message }) => message.includes("can't be written")).length, 1)
  })

  it('is refused at the start where it can not be written', async () => {
    await using directory = await temporaryDirectory('audit')
    await mkdir(join(directory.path, 'folder'))
    await writeFile(join(directory.path, 'file'), '')
    await symlink('/dev/null', join(directory.path, 'device'))
    for (const [name, reason] of [
      ['none/audit.log', 'ENOENT'],
      ['folder', 'it is no file'],
      ['device', 'it is no file'],
      ['file/audit.log', 'ENOTDIR'],
    ] as const) {
      const path = join(directory.path, name)
      await assert.rejects(new AuditLog({ log: recordingLog() }, { path, maxBytes: 1, files: 0 }).start(), {
        name: 'AuditLogError',
        message: `audit log ${path} can't be written to: ${reason}`,
      })
    }
  })
})
