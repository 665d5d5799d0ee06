/** The pages as somebody uses them who looks after repositories, with rules on, in a real browser */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { basic, htpasswd, initAccess } from '../fixtures/access.ts'
import { PageImages } from '../fixtures/page-images.ts'
import { PageVisitor } from '../fixtures/page-visitor.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const rules = `
rules:
  - { who: [authenticated], repositories: ['team/**'], actions: [pull] }
  - { who: ['user:maintainer'], repositories: ['team/**'], actions: [push, tag, delete] }
`
const users = { maintainer: 'of maintainer', reader: 'of reader' }
const tags = ['v1', 'v2', 'v3', 'prod-1']

describe('who looks after repositories', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let visitor: PageVisitor

  before(async () => {
    const directory = resources.use(await temporaryDirectory('pages-maintainer'))
    const dataDir = join(directory.path, 'data')
    server = resources.use(await ServerProcess.start({ dataDir, env: { IPDR_IMMUTABLE_TAGS: '**:prod-*' } }))
    const images = new PageImages(server.url)
    for (const tag of tags) {
      await images.image('team/shop', tag, { annotations: { tag } })
    }
    await server.stop()
    await initAccess('private', dataDir)
    await writeFile(join(dataDir, 'access.yml'), rules)
    await writeFile(join(dataDir, 'htpasswd'), htpasswd(users))
    await server.start()
    visitor = resources.use(await open('maintainer', '/team/shop'))
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function open(user: keyof typeof users, page: string, options = {}): Promise<PageVisitor> {
    const httpCredentials = { username: user, password: users[user] }
    const visitor = await PageVisitor.open(server.url, { httpCredentials, ...options })
    await visitor.page.goto(`${server.url}/ui/log-in?to=${page}`)
    await visitor.page.getByText(`Logged in as ${user}`).waitFor()
    return visitor
  }

  async function tagsOf(): Promise<string[]> {
    const headers = basic('maintainer', users.maintainer)
    const response = await fetch(`${server.url}/v2/team/shop/tags/list`, { headers })
    return ((await response.json()) as { tags: string[] }).tags
  }

  it('deletes many tags by the keyboard alone, is told before what that frees, and has them back', async () => {
    const { page } = visitor
    await page.getByRole('checkbox', { name: 'Select v1' }).focus()
    await page.keyboard.press('Space')
    await page.getByRole('checkbox', { name: 'Select v2' }).focus()
    await page.keyboard.press('Space')
    assert.equal(await page.getByRole('checkbox', { name: 'Select prod-1' }).count(), 0)
    await page.getByText('2 tags selected').waitFor()
    assert.deepEqual(await visitor.axe(), [])
    await page.getByRole('button', { name: 'Delete…' }).focus()
    await page.keyboard.press('Enter')
    await page
      .getByText(/^2 manifests with .* of their own: free after 7 days; until then it can be undone\.$/)
      .waitFor()
    assert.deepEqual(await visitor.axe(), [])
    await page.getByRole('button', { name: 'Delete', exact: true }).focus()
    await page.keyboard.press('Enter')
    await page.getByText(/^2 tags are deleted\./).waitFor()
    assert.deepEqual(await tagsOf(), ['prod-1', 'v3'])
    await page.getByRole('checkbox', { name: 'Select v1' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Undo' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('checkbox', { name: 'Select v1' }).waitFor()
    assert.deepEqual(await tagsOf(), ['prod-1', 'v1', 'v2', 'v3'])
    assert.deepEqual(visitor.problems, [])
  })

  it('gives an image another tag, moves one, and undoes that', async () => {
    const { page } = visitor
    await page.goto(`${server.url}/#/team/shop:v1`)
    await page.getByRole('button', { name: 'Tag…' }).click()
    const field = page.getByRole('textbox', { name: 'Tag' })
    await field.fill('prod-1')
    await page.getByText('prod-1 is immutable').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Move the tag' }).isDisabled(), true)
    assert.deepEqual(await visitor.axe(), [])
    await field.fill('latest')
    await page.getByText('latest is new here.').waitFor()
    await field.press('Enter')
    await page.getByRole('heading', { name: 'team/shop:latest' }).waitFor()
    assert.deepEqual(await tagsOf(), ['latest', 'prod-1', 'v1', 'v2', 'v3'])

    await page.goto(`${server.url}/#/team/shop:v2`)
    await page.getByRole('button', { name: 'Tag…' }).click()
    await field.fill('latest')
    await page.getByText(/^latest leads to sha256:\w+ now\./).waitFor()
    await page.getByRole('button', { name: 'Move the tag' }).click()
    await page.getByText('latest was moved to this image.').waitFor()
    await page.getByText('Also tagged').waitFor()
    assert.equal(await page.getByRole('link', { name: 'v2', exact: true }).count(), 1)
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByRole('link', { name: 'v1', exact: true }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('sees who changed what, and goes back to a state', async () => {
    const { page } = visitor
    await page.goto(`${server.url}/#/team/shop`)
    await page.getByRole('link', { name: 'History' }).click()
    await page.getByRole('heading', { name: 'History' }).waitFor()
    const rows = page.locator('.row')
    await rows.nth(8).waitFor()
    assert.equal(await page.getByText('by maintainer').count(), 5)
    // before a tag was set and moved
    const then = rows.nth(3)
    await then.getByRole('button', { name: 'What has changed since' }).click()
    await then.getByText(/^ipdr pull 127\.0\.0\.1:\d+\/team\/shop(:[\w.-]+)? --at \d+$/).waitFor()
    await page.getByText('Nothing differs').waitFor({ state: 'detached' })
    await page.getByText(/1 tag and 0 images differ from what is there now/).waitFor()
    assert.deepEqual(await visitor.axe(), [])
    await then.getByRole('button', { name: /^Go back to state/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Go back' }).click()
    await page.getByText(/^team\/shop is as it was in state/).waitFor()
    assert.deepEqual(await tagsOf(), ['prod-1', 'v1', 'v2', 'v3'])
    assert.deepEqual(visitor.problems, [])
  })

  it('does so on a screen 360 px wide', async () => {
    const { page } = visitor
    await page.setViewportSize({ width: 360, height: 740 })
    for (const path of ['team/shop', 'team/shop?view=history', 'team/shop:v1']) {
      await page.goto(`${server.url}/#/${path}`)
      await page.getByText('Loading…').waitFor({ state: 'detached' })
      assert.equal(await visitor.isTooWide(), false, path)
      assert.deepEqual(await visitor.axe(), [], path)
    }
    await page.getByRole('button', { name: 'Delete…' }).click()
    await page.getByText(/until then it can be undone/).waitFor()
    assert.equal(await visitor.isTooWide(), false)
    await page.keyboard.press('Escape')
    assert.equal(await page.getByRole('dialog').count(), 0)
    assert.deepEqual(visitor.problems, [])
  })

  it('is no reader: who may only pull sees no buttons, and the server refuses anyway', async () => {
    await using reader = await open('reader', '/team/shop')
    const { page } = reader
    await page.getByRole('link', { name: 'v1', exact: true }).waitFor()
    assert.equal(await page.getByRole('checkbox').count(), 0)
    assert.equal(await page.getByRole('link', { name: 'History' }).count(), 0)
    await page.getByRole('link', { name: 'v1', exact: true }).click()
    await page.getByRole('heading', { name: 'team/shop:v1' }).waitFor()
    assert.equal(await page.getByRole('button', { name: /^(Tag|Delete)…$/ }).count(), 0)
    const statuses = await page.evaluate(`Promise.all([
      fetch('ui/api/delete', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"repository":"team/shop","tags":["v1"]}' }),
      fetch('ui/api/undo', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"repository":"team/shop"}' }),
      fetch('ui/api/history?repository=team/shop'),
    ].map(async response => (await response).status))`)
    assert.deepEqual(statuses, [403, 403, 403])
    await page.goto(`${server.url}/#/team/shop?view=history`)
    await page.getByRole('heading', { name: 'This is not for you to see' }).waitFor()
    assert.deepEqual(reader.problems, [])
  })
})
