/** The pages Network and Storage in a real browser, with rules on and another appliance as a peer */
import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { htpasswd } from '../fixtures/access.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { damages } from '../fixtures/damage.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { descriptorOf, emptyJson, imageManifest } from '../fixtures/manifests.ts'
import { PageVisitor } from '../fixtures/page-visitor.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const timeout = 120_000
const mebibyte = 1024 * 1024
const rules = `
rules:
  - { who: ['user:root'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
  - { who: ['user:alice'], repositories: ['team/**'], actions: [pull] }
  - { who: [anonymous], repositories: ['public/**'], actions: [pull, push, tag, delete] }
`
const lan = { network: 'lan', p2p: { host: '127.0.0.1', port: 0 }, names: { publish: true } }
const layer = randomBytes(2 * mebibyte, 'a layer of the operator')
const admin = { username: 'root', password: 'of root' }
const pages: [path: string, heading: string, shows: string][] = [
  ['#/-/network', 'Network', 'Peers'],
  ['#/-/storage', 'Storage', 'Open uploads'],
]

describe('an operator with rules on', { timeout }, () => {
  const resources = new AsyncDisposableStack()
  let server: TestAppliance
  let peer: TestAppliance
  let cid: string
  let visitor: PageVisitor

  before(async () => {
    const { path } = resources.use(await temporaryDirectory('pages-operator'))
    const dataDir = join(path, 'one')
    // makes the directory
    await (await TestAppliance.start(dataDir))[Symbol.asyncDispose]()
    await writeFile(join(dataDir, 'access.yml'), rules)
    await writeFile(join(dataDir, 'htpasswd'), htpasswd({ root: 'of root', alice: 'of alice' }))
    server = resources.use(await TestAppliance.start(dataDir, { ...lan, gc: { grace: '1s', unreferenced: 0 } }, 0))
    peer = resources.use(await TestAppliance.start(join(path, 'two'), lan))
    cid = await push('public/app')
    assert.equal((await server.client.pushBlob('public/app', randomBytes(mebibyte, 'garbage'))).status, 201)
    const address = /\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/\w+/.exec(server.log)![0]
    const connected = await peer.client.request('POST', '/ipdr/v1/peers', {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ address }),
    })
    assert.equal(connected.status, 200)
    visitor = resources.use(await visit(admin))
  })
  after(async () => {
    await resources.disposeAsync()
  })

  /** @returns the CID of the image */
  async function push(repository: string, tag = 'v1'): Promise<string> {
    const { client } = server
    for (const blob of [emptyJson, layer]) {
      assert.equal((await client.pushBlob(repository, blob)).status, 201)
    }
    const manifest = imageManifest({ layers: [descriptorOf(layer)], annotations: { repository } })
    const pushed = await client.pushManifest(repository, tag, manifest)
    assert.equal(pushed.status, 201)
    return pushed.headers.get('X-Ipfs-Cid')!
  }

  async function visit(credentials: { username: string; password: string }): Promise<PageVisitor> {
    const visitor = await PageVisitor.open(server.url, { httpCredentials: credentials })
    await visitor.page.getByRole('link', { name: 'Log in with a password' }).first().click()
    await visitor.page.getByText(`Logged in as ${credentials.username}`).waitFor()
    return visitor
  }

  it('is shown what others are not', async () => {
    const { page } = visitor
    const navigation = page.getByRole('navigation', { name: 'Pages' })
    for (const [, name] of pages) {
      await navigation.getByRole('link', { name, exact: true }).waitFor()
    }
    await using alice = await visit({ username: 'alice', password: 'of alice' })
    assert.equal(await alice.page.getByRole('link', { name: 'Network' }).count(), 0)
    await using stranger = await PageVisitor.open(server.url)
    for (const [path, heading] of pages) {
      for (const { page } of [alice, stranger]) {
        await page.goto(`${server.url}/${path}`)
        await page.getByRole('heading', { name: heading, exact: true, level: 1 }).waitFor()
        await page.getByRole('heading', { name: 'This page is for administrators' }).waitFor()
        assert.equal(await page.getByRole('table').count(), 0)
      }
    }
    assert.deepEqual([...alice.problems, ...stranger.problems], [])
  })

  it('sees a transfer to a peer while it goes on, by one connection', async () => {
    const { page } = visitor
    let connections = 0
    page.on('request', request => {
      connections += request.url().includes('/ui/api/live') ? 1 : 0
    })
    await page.getByRole('link', { name: 'Network', exact: true }).click()
    await page.getByText('One peer has connected to this node from the local network.').waitFor()
    await page.getByRole('cell', { name: /helia|ipdr/i }).waitFor()
    const { client } = peer
    const manifest = await client.request('GET', `/v2/${cid}/manifests/latest`)
    assert.equal(manifest.status, 200)
    await client.digestOf(`/v2/${cid}/blobs/${sha256(layer)}`)
    await page.getByRole('cell', { name: '2.10 MB' }).waitFor()
    await server.client.digestOf(`/v2/public/app/blobs/${sha256(layer)}`)
    await page.getByText('2.10 MB from disk').waitFor()
    await page.getByRole('img', { name: 'Bytes served in the last hour: 2.10 MB' }).waitFor()
    await page.getByRole('region', { name: 'Published' }).getByText('k51').waitFor()
    assert.equal(connections, 1)
    assert.deepEqual(visitor.problems, [])
  })

  it('sees what strangers say of themselves as text, also where the server tells of no changes', async () => {
    const { page } = visitor
    const html = '<img src=x onerror="document.title=\'taken\'">'
    const report = (await page.evaluate("fetch('ui/api/network').then(response => response.json())")) as {
      peers: { items: { agent: string }[] }
      transfers: object
    }
    report.peers.items[0]!.agent = `${html} safe\u202egnp.exe`
    report.transfers = { total: 1, items: [{ what: html, repositories: [html], came: { peer: 5 } }] }
    await page.route('**/ui/api/live*', async route => {
      await route.fulfill({ status: 429, json: { error: 'too many' } })
    })
    await page.route('**/ui/api/network*', async route => {
      await route.fulfill({ json: report })
    })
    await page.goto(`${server.url}/#/`)
    await page.getByRole('link', { name: 'Network', exact: true }).click()
    await page.getByText(`${html} safe⟨U+202E⟩gnp.exe`).waitFor()
    await page.getByText('5 bytes from peers').waitFor()
    assert.equal(await page.locator('main img').count(), 0)
    assert.equal(await page.title(), 'Network – IPDR')
    await page.unrouteAll()
    assert.deepEqual(visitor.problems, [])
  })

  it('sees images come as they are pushed', async () => {
    const { page } = visitor
    await page.getByRole('link', { name: 'Images', exact: true }).click()
    await page.getByRole('link', { name: 'public/app', exact: true }).waitFor()
    await push('public/old')
    await page.getByRole('link', { name: 'public/old', exact: true }).click()
    // the list of images, which may stay for a moment, has links of the same name, but no table
    const tag = (name: string): ReturnType<typeof page.getByRole> =>
      page.getByRole('rowheader').getByRole('link', { name, exact: true })
    await tag('v1').waitFor()
    await push('public/old', 'v2')
    await tag('v2').waitFor()
    assert.equal((await server.client.request('DELETE', '/v2/public/old/manifests/v2')).status, 202)
    await tag('v2').waitFor({ state: 'detached' })
  })

  it('looks what garbage collection would free, and has it done', async () => {
    const { page } = visitor
    const { client } = server
    await client.startUpload('public/app')
    await page.getByRole('link', { name: 'Storage', exact: true }).click()
    const section = page.getByRole('region', { name: 'Garbage collection' })
    await section.getByRole('button', { name: 'See what it would free' }).click()
    await section
      .getByText(/^It would free 1\.\d+ MB in/)
      .first()
      .waitFor()
    await section.getByRole('button', { name: 'Collect garbage now' }).click()
    await section
      .getByText(/^It freed 1\.\d+ MB in/)
      .nth(1)
      .waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('repairs a damaged block from the peer, by the keyboard', async () => {
    const { page } = visitor
    await damages['with a flipped bit']!(await largestBlock(join(server.dataDir, 'blocks')))
    const section = page.getByRole('region', { name: 'Fsck' })
    await section.getByRole('button', { name: 'Check only' }).focus()
    await page.keyboard.press('Enter')
    await section
      .getByText(/^1 damaged; /)
      .first()
      .waitFor()
    await section.getByRole('heading', { name: /can’t be pulled whole/ }).waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await section
      .getByText(/^1 damaged, 1 repaired; /)
      .first()
      .waitFor()
    await section.getByRole('heading', { name: /can’t be pulled whole/ }).waitFor({ state: 'detached' })
    assert.deepEqual(visitor.problems, [])
  })

  for (const [name, options] of [
    ['on a large screen', {}],
    ['in the dark, 360 px wide', { colorScheme: 'dark', viewport: { width: 360, height: 740 } }],
  ] as const) {
    it(`${name} finds pages that all can use, and nothing wider than the window`, async () => {
      const { page } = visitor
      await page.emulateMedia({ colorScheme: 'colorScheme' in options ? options.colorScheme : 'light' })
      await page.setViewportSize('viewport' in options ? options.viewport : { width: 1100, height: 800 })
      for (const [path, heading, shows] of pages) {
        await page.goto(`${server.url}/${path}`)
        await page.getByRole('heading', { name: heading, exact: true, level: 1 }).waitFor()
        await page.getByRole('heading', { name: shows, exact: true }).waitFor()
        const shots = process.env['TEST_SCREENSHOTS']
        if (shots !== undefined) {
          await page.screenshot({ path: join(shots, `${heading}-${name.slice(0, 6)}.png`), fullPage: true })
        }
        assert.deepEqual(await visitor.axe(), [], path)
        assert.equal(await visitor.isTooWide(), false, path)
      }
      assert.deepEqual(visitor.problems, [])
    })
  }
})

async function largestBlock(directory: string): Promise<string> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = await Promise.all(
    names
      .filter(entry => entry.isFile())
      .map(async ({ name, parentPath }) => ({ path: join(parentPath, name), ...(await stat(join(parentPath, name))) })),
  )
  return files.toSorted((a, b) => b.size - a.size)[0]!.path
}
