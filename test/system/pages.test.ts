/** The pages in a real browser, against a real server */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { initAccess } from '../fixtures/access.ts'
import { PageImages } from '../fixtures/page-images.ts'
import { PageVisitor } from '../fixtures/page-visitor.ts'
import { preparePodman } from '../fixtures/podman.ts'
import { run } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool } from '../fixtures/tools.ts'

const timeout = 120_000

describe('somebody with an empty registry', { timeout }, () => {
  it('learns how to push, sees the image come, finds it, and pulls it by the command that is copied', async () => {
    await using server = await ServerProcess.start()
    await using visitor = await PageVisitor.open(server.url)
    const { page } = visitor
    await page.getByRole('heading', { name: 'Push the first image' }).waitFor()
    await page.getByRole('button', { name: 'Copy the docker commands' }).click()
    assert.match(await visitor.clipboard(), new RegExp(`^docker push ${server.host}/hello-world$`, 'm'))

    await using directory = await temporaryDirectory('pages')
    const layer = join(directory.path, 'layer.tar')
    await writeFile(join(directory.path, 'hello'), 'Hello')
    await run('tar', ['-cf', layer, '-C', directory.path, 'hello'])
    const name = `${server.host}/example/hello:v1`
    await run(builtTool('crane'), ['append', '--insecure', '--new_layer', layer, '--new_tag', name])

    await page.getByRole('link', { name: 'example/hello', exact: true }).waitFor()
    await page.getByRole('searchbox').fill('hello:v')
    await page.getByRole('status').filter({ hasText: '1 found' }).waitFor()
    await page.getByRole('link', { name: 'v1', exact: true }).first().click()
    await page.getByRole('heading', { name: 'example/hello:v1' }).waitFor()
    await page.getByRole('button', { name: 'Copy the command for Docker' }).click()
    assert.equal(await visitor.clipboard(), `docker pull ${name}`)
    await page.getByRole('button', { name: 'Copy the command for Podman' }).click()
    const [program, ...args] = (await visitor.clipboard()).split(' ')
    assert.equal(program, 'podman')
    await using podman = await preparePodman(server.host)
    assert.match(await podman.podman(args), /^[0-9a-f]{64}$/)

    const cid = String((await fetch(`${server.url}/v2/example/hello/manifests/v1`)).headers.get('X-Ipfs-Cid'))
    await page.getByText(`docker pull ${server.host}/${cid}`).waitFor()
    assert.deepEqual(visitor.problems, [])
  })
})

describe('a visitor of pages', { timeout }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let images: PageImages
  const pages: [path: string, heading: string][] = [
    ['', 'Images'],
    ['#/?q=shop', 'Images'],
    ['#/?q=none', 'Images'],
    ['#/?in=/', 'Images'],
    ['#/?in=team/', 'team/'],
    ['#/team/shop', 'team/shop'],
    ['#/team/shop:v1', 'team/shop:v1'],
    ['#/library/multi:3', 'library/multi:3'],
    ['#/library/multi:3?view=compare&with=team/shop:v1', 'library/multi:3'],
    ['#/team/none', 'team/none'],
  ]

  before(async () => {
    server = resources.use(await ServerProcess.start())
    images = new PageImages(server.url)
    await images.image('team/shop', 'v1')
    await images.image('team/shop', 'latest')
    await images.index('library/multi', '3')
  })
  after(async () => {
    await resources.disposeAsync()
  })

  for (const [name, options] of [
    ['on a large screen', {}],
    ['in the dark', { colorScheme: 'dark' }],
    ['on a screen 360 px wide', { viewport: { width: 360, height: 740 } }],
  ] as const) {
    it(`${name} finds pages that all can use, and nothing wider than the window`, async () => {
      await using visitor = await PageVisitor.open(server.url, options)
      for (const [path, heading] of pages) {
        await visitor.page.goto(`${server.url}/${path}`)
        await visitor.page.getByRole('heading', { name: heading, exact: true, level: 1 }).waitFor()
        await visitor.page.getByText('Loading…').waitFor({ state: 'detached' })
        assert.deepEqual(await visitor.axe(), [], path)
        assert.equal(await visitor.isTooWide(), false, path)
      }
      assert.deepEqual(visitor.problems, [])
    })
  }

  it('can do everything by the keyboard', async () => {
    await using visitor = await PageVisitor.open(server.url)
    const { keyboard } = visitor.page
    await visitor.page.getByRole('link', { name: 'team/shop', exact: true }).waitFor()
    await keyboard.press('Tab')
    assert.equal(await visitor.focused(), 'Skip to the content')
    await keyboard.press('Enter')
    await keyboard.press('/')
    await keyboard.type('shop')
    await visitor.page.getByRole('status').filter({ hasText: '1 found' }).waitFor()
    await visitor.tabTo('team/shop')
    await keyboard.press('Enter')
    await visitor.page.getByRole('heading', { name: 'team/shop', exact: true }).waitFor()
    await visitor.tabTo('latest')
    await keyboard.press('Enter')
    await visitor.page.getByRole('heading', { name: 'team/shop:latest' }).waitFor()
    await visitor.tabTo('Copy the CID')
    await keyboard.press('Enter')
    await visitor.page.getByText('Copied the CID').waitFor()
    assert.match(await visitor.clipboard(), /^bafy/)
    await visitor.page.goBack()
    await visitor.page.getByRole('heading', { name: 'team/shop', exact: true }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('sees the parts of an image, and gets from one to the other', async () => {
    await using visitor = await PageVisitor.open(`${server.url}/#/library/multi:3`)
    const { page } = visitor
    await page.getByRole('heading', { name: 'Signatures, SBOMs and more' }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'Signature', exact: true }).count(), 2)
    assert.equal(await page.locator('.tree .tree').getByRole('link', { name: 'Signature' }).count(), 1)
    await page.getByRole('link', { name: 'linux/arm64' }).click()
    await page.getByText('Image for linux/arm64').waitFor()
    await page.getByText('RUN apt-get update && apt-get install --yes ca-certificates', { exact: true }).waitFor()
    await page.getByText('COPY dist /app', { exact: true }).waitFor()
    await page.getByText('NODE_ENV=production', { exact: true }).waitFor()
    assert.equal(await page.getByText('ENV NODE_ENV=production', { exact: true }).count(), 1)
    await page.getByRole('link', { name: 'multi', exact: true }).click()
    await page.getByRole('heading', { name: 'library/multi', exact: true }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('compares an image with another one', async () => {
    await images.image('team/shop', 'v2', { config: { config: { User: 'root', Env: ['NODE_ENV=test'] } } })
    await using visitor = await PageVisitor.open(`${server.url}/#/team/shop:v1`)
    const { page } = visitor
    await page.getByRole('link', { name: 'Compare with…' }).click()
    await page.getByRole('link', { name: 'v2', exact: true }).click()
    await page.getByText('379 kB in both, 0 bytes only here, 0 bytes only in the other.').waitFor()
    const table = page.getByRole('table', { name: 'Environment' })
    await table.getByRole('row', { name: 'NODE_ENV production test' }).waitFor()
    await page.getByRole('row', { name: 'user app root' }).waitFor()
    const field = page.getByRole('textbox', { name: 'Compare with' })
    await field.fill('team/shop:latest')
    await field.press('Enter')
    await page.getByRole('heading', { name: 'Both are the same image' }).waitFor()
    await field.fill('no image')
    await field.press('Enter')
    await page.getByRole('heading', { name: 'This names no image' }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('finds an image by its digest, its CID and its platform', async () => {
    const response = await fetch(`${server.url}/v2/team/shop/manifests/v1`)
    await using visitor = await PageVisitor.open(server.url)
    for (const header of ['Docker-Content-Digest', 'X-Ipfs-Cid']) {
      await visitor.page.goto(`${server.url}/#/`)
      await visitor.page.getByRole('searchbox').fill(response.headers.get(header)!)
      await visitor.page.getByRole('link', { name: 'v1', exact: true }).waitFor()
      await visitor.page.getByRole('searchbox').press('Enter')
      await visitor.page.getByRole('heading', { name: 'team/shop@sha256:' }).waitFor()
    }
    await visitor.page.goto(`${server.url}/#/`)
    await visitor.page.getByRole('searchbox').fill('platform:linux/arm64')
    await visitor.page.getByRole('status').filter({ hasText: '1 found' }).waitFor()
    await visitor.page.getByRole('link', { name: 'library/multi', exact: true }).waitFor()
    await visitor.page.getByRole('searchbox').fill('annotation:a=b')
    await visitor.page.getByRole('heading', { name: 'No image is like this' }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })

  it('is told what to do where something is missing or the registry does not answer', async () => {
    await using visitor = await PageVisitor.open(`${server.url}/#/team/shop:none`)
    const { page } = visitor
    await page.getByRole('heading', { name: 'There is nothing by this name' }).waitFor()
    await page.context().setOffline(true)
    await page.getByRole('link', { name: 'See all repositories' }).click()
    await page.getByRole('heading', { name: 'The registry does not answer' }).waitFor()
    await page.context().setOffline(false)
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('link', { name: 'team/shop', exact: true }).waitFor()
  })

  it('sees what a stranger pushed as text', async () => {
    const html = '<img src=x onerror="document.title=\'taken\'"><script>document.title="taken"</script>'
    const turned = 'safe\u202egnp.exe'
    const large = 'x'.repeat(200_000)
    await images.image('stranger/html', 'v1', {
      annotations: { [html]: html, turned, large },
      config: {
        author: html,
        created: html,
        os: { not: 'a text' },
        history: Array.from({ length: 3 }, () => ({ created_by: `${html} ${turned}` })),
        config: {
          Labels: { svg: '<svg onload="document.title=1">' },
          Env: [turned, 5, null],
          Cmd: 'no list',
          ExposedPorts: [],
        },
      },
    })
    const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`
    await images.image('stranger/deep', 'v1', { config: Buffer.from(`{"os":"linux","history":${deep}}`) })
    await images.image('stranger/many', 'v1', {
      config: {
        history: Array.from({ length: 5000 }, () => ({ created_by: 'RUN x' })),
        config: { Env: Array(5000).fill('A=b') },
      },
    })
    await using visitor = await PageVisitor.open(`${server.url}/#/stranger/html:v1`)
    const { page } = visitor
    await page.getByRole('heading', { name: 'Annotations' }).waitFor()
    assert.equal(await page.locator('main img, main script').count(), 0)
    assert.ok((await page.getByText(html).count()) >= 3)
    assert.ok((await page.getByText('safe⟨U+202E⟩gnp.exe').count()) >= 3)
    assert.ok((await page.locator('main').textContent())!.length < 20_000)
    assert.deepEqual(await visitor.axe(), [])
    await page.goto(`${server.url}/#/stranger/html:v1?view=compare&with=team/shop:v1`)
    await page.getByRole('heading', { name: 'Annotations' }).waitFor()
    assert.equal(await page.locator('main img, main script').count(), 0)
    assert.ok((await page.getByText(html).count()) >= 3)
    assert.ok((await page.getByText('safe⟨U+202E⟩gnp.exe').count()) >= 3)
    assert.equal(await visitor.isTooWide(), false)
    for (const repository of ['stranger/deep', 'stranger/many']) {
      await page.goto(`${server.url}/#/${repository}:v1`)
      await page.getByRole('heading', { name: `${repository}:v1` }).waitFor()
      await page
        .getByRole('heading', { name: 'Layers' })
        .or(page.getByRole('heading', { name: 'Files' }))
        .waitFor()
    }
    assert.match(await page.title(), /^stranger\/many:v1/)
    assert.deepEqual(visitor.problems, [])
  })

  it('asks the server once for each pause of who types', async () => {
    await using visitor = await PageVisitor.open(server.url)
    await visitor.page.getByRole('link', { name: 'team/shop', exact: true }).waitFor()
    const before = visitor.requests
    await visitor.page.getByRole('searchbox').pressSequentially('shop'.repeat(10), { delay: 5 })
    await visitor.page.getByRole('heading', { name: 'Nothing has such a name' }).waitFor()
    assert.ok(visitor.requests - before < 10)
  })
})

describe('a reader with rules on', { timeout }, () => {
  it('logs in by a password, and sees what is for him', async () => {
    await using directory = await temporaryDirectory('pages')
    const dataDir = join(directory.path, 'data')
    await using server = await ServerProcess.start({ dataDir })
    const images = new PageImages(server.url)
    await images.image('public/app', 'v1')
    await images.image('team/app', 'v1')
    await server.stop()
    const password = await initAccess('private', dataDir)
    await writeFile(
      join(dataDir, 'access.yml'),
      `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['user:admin'], repositories: ['team/**'], actions: [pull] }
`,
    )
    await server.start()
    await using visitor = await PageVisitor.open(server.url, { httpCredentials: { username: 'admin', password } })
    const { page } = visitor
    await page.getByRole('link', { name: 'public/app', exact: true }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'team/app', exact: true }).count(), 0)
    await page.goto(`${server.url}/#/team/app:v1`)
    await page.getByRole('heading', { name: 'Log in to see this' }).waitFor()
    assert.deepEqual(await visitor.axe(), [])
    await page.getByRole('main').getByRole('link', { name: 'Log in with a password' }).click()
    await page.getByText('Logged in as admin').waitFor()
    await page.getByRole('heading', { name: 'Pull', exact: true }).waitFor()
    await page.getByRole('link', { name: 'Images' }).first().click()
    await page.getByRole('link', { name: 'team/app', exact: true }).waitFor()
    assert.deepEqual(visitor.problems, [])
  })
})
