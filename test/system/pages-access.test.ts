/** The pages Access and Upstreams in a real browser, with rules on */
import assert from 'node:assert/strict'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { basic, htpasswd, initAccess } from '../fixtures/access.ts'
import { TestApp } from '../fixtures/app.ts'
import { imageManifest } from '../fixtures/manifests.ts'
import { PageVisitor } from '../fixtures/page-visitor.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const timeout = 120_000
/** A user may have such a name, and a stranger may claim it */
const hostile = '<img/src=x/onerror=alert(1)>'
const rules = `
groups:
  developers: [reader]
rules:
  - { who: ['user:admin'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
  - { who: ['group:developers'], repositories: ['team/**'], actions: [pull] }
  - { who: [anonymous], repositories: ['team/**'], actions: [delete], effect: deny }
`

describe('the pages of access and upstreams', { timeout }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let upstream: TestApp
  let admin: { username: string; password: string }
  /** The administrator */
  let visitor: PageVisitor

  before(async () => {
    const { path } = resources.use(await temporaryDirectory('pages-access'))
    const dataDir = join(path, 'data')
    admin = { username: 'admin', password: await initAccess('private', dataDir) }
    await writeFile(join(dataDir, 'access.yml'), rules)
    await appendFile(join(dataDir, 'htpasswd'), htpasswd({ reader: 'of reader', [hostile]: 'x' }))
    const audit = ['--access-audit-log', join(path, 'audit.log')]
    upstream = resources.use(await TestApp.start())
    await upstream.pushEmptyConfig('team/app')
    await upstream.pushManifest('team/app', 'v1', imageManifest())
    const mirrored = ['--upstream', `up.test=http://127.0.0.1:${upstream.port}`]
    server = resources.use(await ServerProcess.start({ dataDir, args: [...audit, ...mirrored] }))
    await fetch(`${server.url}/v2/`, { headers: basic(hostile, 'wrong') })
    await fetch(`${server.url}/v2/`, { headers: basic('my-secret-password', 'wrong') })
  })
  before(async () => {
    visitor = resources.use(await visit(admin))
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function visit(credentials: { username: string; password: string }): Promise<PageVisitor> {
    const visitor = await PageVisitor.open(server.url, { httpCredentials: credentials })
    await visitor.page.getByRole('link', { name: 'Log in with a password' }).first().click()
    await visitor.page.getByText(`Logged in as ${credentials.username}`).waitFor()
    return visitor
  }

  it('tell an administrator who may do what, and why', async () => {
    const { page } = visitor
    await page.goto(`${server.url}/#/`)
    await page.getByRole('link', { name: 'Access', exact: true }).click()
    await page.getByLabel('Who', { exact: true }).fill('reader')
    await page.getByLabel('Repository', { exact: true }).fill('team/app:v1')
    await page.getByRole('button', { name: 'Ask the rules' }).click()
    await page.getByRole('heading', { name: 'Yes: reader may pull from team/app:v1' }).waitFor()
    await page.getByText('access.yml, line 6').waitFor()
    await page.getByLabel('Action', { exact: true }).selectOption('delete')
    await page.getByRole('button', { name: 'Ask the rules' }).click()
    await page.getByRole('heading', { name: 'No: reader may not delete from team/app:v1' }).waitFor()
    await page.getByText('access.yml, line 7').waitFor()
    await page.getByLabel('Who', { exact: true }).fill('nobody')
    await page.keyboard.press('Enter')
    await page.getByText('there is no user nobody').waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('make a key that is shown once, tell when it was used, and revoke it, by the keyboard', async () => {
    const { page } = visitor
    await page.goto(`${server.url}/#/-/access?view=keys`)
    await page.getByText('There are none.').waitFor()
    await visitor.tabTo('Make a new key')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await page.keyboard.type('ci')
    await page.keyboard.press('Tab')
    await page.keyboard.type('team/**:nonsense')
    await page.keyboard.press('Enter')
    await page.getByText('nonsense is none').waitFor()
    await page.getByLabel('May', { exact: true }).fill('team/**:pull')
    await page.keyboard.press('Enter')
    const secret = (await page.getByText(/^ipdr_[\w-]{43}$/).textContent())!
    await page.getByRole('rowheader', { name: 'ci' }).waitFor()
    assert.equal((await fetch(`${server.url}/v2/`, { headers: basic('ci', secret) })).status, 200)
    await page.reload()
    await page.getByRole('cell', { name: 'just now' }).last().waitFor()
    assert.equal(await page.getByText(secret).count(), 0)
    await visitor.tabTo('Revoke ci')
    await page.keyboard.press('Enter')
    await visitor.tabTo('Revoke ci for good')
    await page.keyboard.press('Enter')
    await page.getByText('There are none.').waitFor()
    assert.equal((await fetch(`${server.url}/v2/`, { headers: basic('ci', secret) })).status, 401)
    assert.deepEqual(visitor.problems, [])
  })

  it('show failed log-ins and the audit log, names of strangers as text, and no secret', async () => {
    const { page } = visitor
    await page.goto(`${server.url}/#/-/access?view=failures`)
    await page.getByRole('rowheader', { name: hostile }).waitFor()
    await page.getByRole('rowheader', { name: 'an unknown name' }).first().waitFor()
    assert.equal(await page.locator('main img').count(), 0)
    assert.doesNotMatch((await page.locator('main').textContent())!, /my-secret-password/)
    await page.getByRole('link', { name: 'Audit log' }).click()
    await page.getByRole('combobox', { name: 'Outcome' }).selectOption('failed')
    await page.getByRole('cell', { name: hostile }).waitFor()
    await page.getByRole('combobox', { name: 'Outcome' }).selectOption('')
    await page.getByRole('searchbox').fill('added ci')
    await page.getByText('0 entries').waitFor()
    await page.getByRole('searchbox').fill('api/access/keys')
    await page.getByRole('cell', { name: 'admin', exact: true }).first().waitFor()
    assert.equal(await page.locator('main img').count(), 0)
    assert.deepEqual(visitor.problems, [])
  })

  it('tell an administrator what an upstream delivered, and what it saved', async () => {
    const headers = basic(admin.username, admin.password)
    for (const [repository, status] of [
      ['app', 200],
      ['app', 200],
      ['none', 404],
    ] as const) {
      const url = `${server.url}/v2/up.test/team/${repository}/manifests/v1`
      assert.equal((await fetch(url, { headers })).status, status)
    }
    const { page } = visitor
    await page.goto(`${server.url}/#/-/upstreams`)
    await page.getByRole('heading', { name: 'up.test' }).waitFor()
    await page.getByText('1, 50 % of 2 requests').waitFor()
    await page.getByText('1 repository').waitFor()
    await upstream.stop()
    await fetch(`${server.url}/v2/up.test/team/none/manifests/v1`, { headers })
    await page.getByText('up.test does not answer').waitFor()
    await page.getByText('does not deliver.').waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('are for all to use, and no wider than a window of 360 px', async () => {
    const { page } = visitor
    await page.goto(`${server.url}/#/`)
    for (const width of [1100, 360]) {
      await page.setViewportSize({ width, height: 740 })
      for (const view of [
        'access',
        ...['rules', 'users', 'keys', 'failures', 'audit'].map(name => `access?view=${name}`),
        'upstreams',
      ]) {
        await page.goto(`${server.url}/#/-/${view}`)
        await page.getByRole('heading', { level: 1, name: view === 'upstreams' ? 'Upstreams' : 'Access' }).waitFor()
        await page.getByText('Loading…').waitFor({ state: 'detached' })
        assert.deepEqual(await visitor.axe(), [], view)
        assert.equal(await visitor.isTooWide(), false, `${view} at ${width}`)
      }
    }
    assert.deepEqual(visitor.problems, [])
  })

  it('tell a reader in a sentence that they are not for him', async () => {
    await using ofReader = await visit({ username: 'reader', password: 'of reader' })
    const { page } = ofReader
    for (const name of ['access', 'access?view=audit', 'upstreams']) {
      await page.goto(`${server.url}/#/-/${name}`)
      await page.getByRole('heading', { name: 'This page is for administrators' }).waitFor()
      assert.equal(await page.getByRole('table').count(), 0)
    }
    assert.equal(await page.getByRole('link', { name: 'Upstreams' }).count(), 0)
    assert.deepEqual(await ofReader.axe(), [])
    assert.deepEqual(ofReader.problems, [])
  })
})
