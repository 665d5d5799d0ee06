/** An administrator of a registry without rules, in a real browser: by the admin token */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { TestAppliance } from '../fixtures/appliance.ts'
import { PageVisitor } from '../fixtures/page-visitor.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const timeout = 120_000
const sections = ['Network', 'Storage', 'Access', 'Upstreams']

describe('an administrator of a registry without rules', { timeout }, () => {
  const resources = new AsyncDisposableStack()
  let server: TestAppliance
  let apart: TestAppliance

  before(async () => {
    const { path } = resources.use(await temporaryDirectory('pages-open'))
    server = resources.use(await TestAppliance.start(join(path, 'one')))
    apart = resources.use(await TestAppliance.start(join(path, 'two'), { admin: { port: 0 } }))
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function tokenOf({ dataDir }: TestAppliance): Promise<string> {
    return (await readFile(join(dataDir, 'admin.token'), 'utf8')).trim()
  }

  /** Types the token where it is asked for */
  async function logIn({ page }: PageVisitor, token: string): Promise<void> {
    await page.getByLabel('Admin token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
  }

  /** What a visitor keeps, and where it was: the token may be in the storage of the tab alone */
  async function assertSecret({ page }: PageVisitor, token: string, urls: readonly string[]): Promise<void> {
    assert.ok(urls.every(url => !url.includes(token)))
    assert.deepEqual(await page.context().cookies(), [])
    assert.equal(await page.evaluate('localStorage.length'), 0)
  }

  it('finds by one click where to type the token, and logs in and out by the keyboard', async () => {
    const token = await tokenOf(server)
    await using visitor = await PageVisitor.open(server.url)
    const { page } = visitor
    const urls: string[] = []
    page.on('request', request => urls.push(request.url()))
    await page.getByRole('heading', { name: 'Push the first image' }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'Storage' }).count(), 0)
    await visitor.tabTo('Administration')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Log in as administrator' }).waitFor()
    assert.deepEqual(await visitor.axe(), [])
    await page.getByLabel('Admin token').focus()
    await page.keyboard.type('not-the-token-of-this-one')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').getByText('This is not the admin token').waitFor()
    await page.getByLabel('Admin token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByText('Logged in as administrator').waitFor()
    for (const name of sections) {
      await page.getByRole('link', { name, exact: true }).click()
      await page.getByRole('heading', { name, level: 1 }).waitFor()
      await page.getByText('Loading…').waitFor({ state: 'detached' })
      assert.equal(await page.getByLabel('Admin token').count(), 0)
    }
    await page.getByRole('link', { name: 'Storage' }).click()
    await page.getByRole('button', { name: 'See what it would free' }).click()
    await page.getByText('It would free nothing now.').first().waitFor()
    await page.reload()
    await page.getByText('Logged in as administrator').waitFor()
    await assertSecret(visitor, token, urls)
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Admin token').waitFor()
    assert.equal(await page.evaluate('sessionStorage.length'), 0)
    assert.deepEqual(visitor.problems, [])
  })

  it('is asked again once there is another token', async () => {
    const token = await tokenOf(server)
    await using visitor = await PageVisitor.open(`${server.url}/#/-/network`)
    const { page } = visitor
    await logIn(visitor, token)
    await page.getByRole('heading', { name: 'This node' }).waitFor()
    await writeFile(join(server.dataDir, 'admin.token'), 'another-token-of-this-registry\n')
    await page.getByRole('alert').getByText('does not count any more').waitFor({ timeout: 60_000 })
    assert.equal(await page.getByRole('heading', { name: 'This node' }).count(), 0)
    assert.equal(await page.evaluate('sessionStorage.length'), 0)
    await logIn(visitor, 'another-token-of-this-registry')
    await page.getByRole('heading', { name: 'This node' }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('is warned before the token goes over a network without TLS', async () => {
    await using visitor = await PageVisitor.open(server.url.replace('127.0.0.1', 'registry.example'))
    const { page } = visitor
    // the server answers browsers only under its own names
    await page.getByText('HOST_UNKNOWN').waitFor()
    await page.goto(`${server.url.replace('127.0.0.1', 'registry')}/#/-/network`)
    await page.getByRole('checkbox', { name: /without TLS/ }).waitFor()
    assert.deepEqual(await visitor.axe(), [])
    await logIn(visitor, await tokenOf(server))
    assert.equal(await page.getByRole('heading', { name: 'This node' }).count(), 0)
    await page.getByRole('checkbox', { name: /without TLS/ }).check()
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('heading', { name: 'This node' }).waitFor()
  })

  it('is led to the port that administration has for itself, which has pages too', async () => {
    await using visitor = await PageVisitor.open(apart.url)
    await visitor.page.getByRole('link', { name: 'Administration' }).click()
    const link = visitor.page.getByRole('link', { name: /^Administer this registry at 127\.0\.0\.1:\d+$/ })
    assert.deepEqual(await visitor.axe(), [])
    await using ofAdmin = await PageVisitor.open(new URL('/', String(await link.getAttribute('href'))).href)
    const { page } = ofAdmin
    await page.getByRole('heading', { name: 'Log in as administrator' }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'Images' }).count(), 0)
    await logIn(ofAdmin, await tokenOf(apart))
    for (const name of sections) {
      await page.getByRole('link', { name, exact: true }).click()
      await page.getByRole('heading', { name, level: 1 }).waitFor()
      await page.getByText('Loading…').waitFor({ state: 'detached' })
      assert.equal(await page.getByLabel('Admin token').count(), 0)
    }
    assert.deepEqual(await ofAdmin.axe(), [])
    assert.deepEqual([...visitor.problems, ...ofAdmin.problems], [])
  })

  it('finds pages that all can use, and nothing wider than a window of 360 px', async () => {
    for (const { url } of [server, apart]) {
      await using visitor = await PageVisitor.open(url, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' })
      for (const path of ['#/', '#/-/network']) {
        await visitor.page.goto(`${url}/${path}`)
        await visitor.page.getByRole('heading', { level: 2 }).waitFor()
        assert.deepEqual(await visitor.axe(), [], path)
        assert.equal(await visitor.isTooWide(), false, path)
        const shots = process.env['TEST_SCREENSHOTS']
        if (shots !== undefined) {
          const name = `open-${url === server.url ? 'token' : 'apart'}${path.replaceAll(/\W+/g, '-')}.png`
          await visitor.page.screenshot({ path: join(shots, name), fullPage: true })
        }
      }
    }
  })
})
