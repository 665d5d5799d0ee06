/** The documents as a site, made by the one command that the documents name */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { before, suite, test } from 'node:test'
import { contents } from '../../../docs/site/.vitepress/contents.ts'
import { PageVisitor } from '../../fixtures/page-visitor.ts'
import { run } from '../../fixtures/run.ts'
import { projectDirectory } from '../../fixtures/tools.ts'

const minute = 60_000
const site = join(projectDirectory, 'docs/site/dist')

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}

/** A server of files, as any host of a site is */
async function serve(directory: string): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://localhost').pathname
    const file = path === '/' ? '/index.html' : path
    readFile(join(directory, file)).then(
      bytes => response.setHeader('Content-Type', types[extname(file)] ?? 'application/octet-stream').end(bytes),
      () => response.writeHead(404).end(),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}

suite('npm run docs:site', { timeout: 10 * minute }, () => {
  let files: string[]
  before(async () => {
    // a link that leads nowhere ends it
    await run('npm', ['run', '--silent', 'docs:site'], { cwd: projectDirectory, timeout: 5 * minute })
    files = globSync('**', { cwd: site })
  })

  function read(file: string): string {
    return readFileSync(join(site, file), 'utf8')
  }

  test('has every page, its pictures, and the files that pages link to', () => {
    const pages = contents.flatMap(section => section.pages).map(page => page.replace(/^README\.md$/, 'index.md'))
    const expected = [...pages.map(page => page.replace(/\.md$/, '.html')), 'config/ipdr.yml', 'docs/openapi.yaml']
    assert.deepEqual(
      expected.filter(file => !files.includes(file)),
      [],
    )
    // small ones are part of the page
    const pictures = read('docs/architecture.html').match(/<img [^>]*src="(?:data:image\/svg|\/assets\/)[^>]*>/g)
    assert.equal(pictures?.length, 3)
  })

  test('finds by its own search, in a browser that asks no other host', async () => {
    await using server = await serve(site)
    await using visitor = await PageVisitor.open(server.url)
    await visitor.page.getByRole('button', { name: 'Search' }).first().click()
    await visitor.page.getByRole('searchbox').fill('garbage collection')
    await visitor.page.getByRole('option').first().click()
    await visitor.page.waitForURL('**/docs/**')
    assert.deepEqual(visitor.problems, [])
  })

  test('asks no other host for anything', () => {
    const patterns: Record<string, RegExp> = {
      html: /<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="(?:https?:)?\/\/[^"]*"/g,
      css: /url\(\s*["']?(?:https?:)?\/\/[^)]*\)|@import\s[^;]*/g,
      js: /\b(?:import|fetch)\(\s*["'`](?:https?:)?\/\/[^)]*\)/g,
    }
    const asked = Object.entries(patterns).flatMap(([extension, pattern]) =>
      files
        .filter(file => file.endsWith(`.${extension}`))
        .flatMap(file => Array.from(read(file).matchAll(pattern), ([text]) => `${file}: ${text}`)),
    )
    assert.ok(files.some(file => file.endsWith('.css')))
    assert.deepEqual(asked, [])
  })
})
