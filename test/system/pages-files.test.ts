/** The files in layers, in a real browser */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { makeArchive, type ArchiveEntry } from '../fixtures/archives.ts'
import { PageImages } from '../fixtures/page-images.ts'
import { PageVisitor } from '../fixtures/page-visitor.ts'
import { ServerProcess } from '../fixtures/server.ts'

const timeout = 120_000
const hostile = '<img src=x onerror=alert(1)>'
const base: ArchiveEntry[] = [
  { name: 'etc/', type: 'directory' },
  [{ name: 'etc/os-release' }, 'ID=example'],
  [{ name: 'usr/bin/app' }, 'version 1'],
]

describe('somebody who wants to know what differs', { timeout }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  before(async () => {
    server = resources.use(await ServerProcess.start())
    const images = new PageImages(server.url)
    const common = gzipSync(await makeArchive(...base))
    const first = gzipSync(await makeArchive([{ name: 'app/old.js' }, 'old'], { name: 'usr/bin/.wh.app' }))
    const second = zstdCompressSync(
      await makeArchive(
        [{ name: 'app/new.js' }, 'x'.repeat(2000)],
        { name: 'usr/bin/run', type: 'symlink', linkname: 'app' },
        [{ name: `${hostile} safe\u202egnp.exe` }, ''],
        [{ name: '../../etc/passwd' }, 'root'],
      ),
    )
    await images.image('team/app', 'v1', { layers: [common, first] })
    await images.image('team/app', 'v2', { layers: [common, second] })
    const many = await makeArchive(...Array.from({ length: 1200 }, (_, i) => ({ name: `${i}` })))
    await images.image('team/app', 'many', { layers: [common, gzipSync(many)] })
    await images.image('team/app', 'broken', { layers: [common, Buffer.from('no archive')] })
  })
  after(async () => {
    await resources.disposeAsync()
  })

  for (const [width, colorScheme] of [
    [1280, 'light'],
    [360, 'dark'],
  ] as const) {
    it(`sees which files were added, removed and changed, by the keyboard, ${width} px wide`, async () => {
      await using visitor = await PageVisitor.open(`${server.url}/#/team/app:v1?view=compare&with=v2`, {
        viewport: { width, height: 800 },
        colorScheme,
      })
      const { page } = visitor
      await page.getByRole('button', { name: 'List the files that differ' }).focus()
      await page.keyboard.press('Enter')
      await page.getByText('From this image to the other, 5 added, 1 removed, 0 changed.').waitFor()
      assert.equal(await visitor.focused(), 'Read them again')
      // rows of a table, also where each is a block of its own by its style
      for (const row of [
        'app/new.js|added|–|2.00 kB',
        'app/old.js|removed|3 bytes|–',
        'usr/bin/app|added|–|9 bytes',
        'usr/bin/run|added|–|symbolic link to app',
        'etc/passwd|added|–|4 bytes',
      ]) {
        await page
          .getByRole('row')
          .filter({ hasText: row.replaceAll('|', '') })
          .waitFor()
      }
      await page.getByText(`${hostile} safe⟨U+202E⟩gnp.exe`).waitFor()
      assert.equal(await page.locator('main img').count(), 0)
      assert.deepEqual(await visitor.axe(), [])
      assert.equal(await visitor.isTooWide(), false)
      const shots = process.env['TEST_SCREENSHOTS']
      if (shots !== undefined) {
        await page.screenshot({ path: join(shots, `files-${width}.png`), fullPage: true })
      }
      assert.deepEqual(visitor.problems, [])
    })
  }

  it('is told where files are not listed, and where there are more', async () => {
    await using visitor = await PageVisitor.open(`${server.url}/#/team/app:v1?view=compare&with=broken`)
    const { page } = visitor
    await page.getByRole('button', { name: 'List the files that differ' }).click()
    await page.getByText('A layer is no archive that can be read.').waitFor()
    await page.goto(`${server.url}/#/team/app:v1?view=compare&with=many`)
    await page.getByRole('button', { name: 'List the files that differ' }).click()
    await page.getByText('and 202 more files').waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('cancels a listing that takes long', async () => {
    await using visitor = await PageVisitor.open(`${server.url}/#/team/app:v1?view=compare&with=v2`)
    const { page } = visitor
    const asked = Promise.withResolvers<void>()
    await page.route('**/ui/api/compare/files*', () => {
      asked.resolve()
    })
    const failed = page.waitForEvent('requestfailed')
    await page.getByRole('button', { name: 'List the files that differ' }).click()
    await asked.promise
    await page.getByText('Reading the layers…').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await failed
    await page.getByRole('button', { name: 'List the files that differ' }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('sees the files of one layer, and what it takes away', async () => {
    await using visitor = await PageVisitor.open(`${server.url}/#/team/app:v1`, {
      viewport: { width: 360, height: 800 },
    })
    const { page } = visitor
    const files = page.getByText('Files', { exact: true })
    await files.last().click()
    await page.locator('tr', { hasText: 'app/old.js3 bytes' }).waitFor()
    await page.getByText('Removes from the layers below: usr/bin/app').waitFor()
    await files.first().click()
    await page.locator('tr', { hasText: 'etcdirectory' }).waitFor()
    assert.deepEqual(await visitor.axe(), [])
    assert.equal(await visitor.isTooWide(), false)
    const shots = process.env['TEST_SCREENSHOTS']
    if (shots !== undefined) {
      await page.screenshot({ path: join(shots, 'layer-files.png'), fullPage: true })
    }
    assert.deepEqual(visitor.problems, [])
  })
})
