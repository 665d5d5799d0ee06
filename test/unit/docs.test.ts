import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import { contents } from '../../docs/site/.vitepress/contents.ts'
import { commandReference } from '../../scripts/command-reference.ts'
import { withReference } from '../../scripts/configuration-reference.ts'
import { httpReference } from '../../scripts/http-reference.ts'
import { configKeys } from '../../src/config/schema.ts'

const root = join(import.meta.dirname, '../..')
const pages = ['*.md', 'docs/**/*.md', 'bench/*.md', 'test/soak/*.md', '.github/**/*.md']
  .flatMap(pattern => globSync(pattern, { cwd: root, exclude: ['**/node_modules/**'] }))
  .sort()

function read(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

/** As GitHub makes the anchor of a heading */
function anchorsOf(page: string): Set<string> {
  const headings = read(page)
    .replaceAll(/```[\s\S]*?```/g, '')
    .matchAll(/^#+ (.+)$/gm)
  return new Set(
    Array.from(headings, ([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

function brokenLinks(page: string): string[] {
  return Array.from(read(page).matchAll(/\[[^\]]+\]\(([^)\s]+)\)/g), ([, target]) => target!)
    .filter(target => !/^https?:/.test(target))
    .filter(target => {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : normalize(join(dirname(page), path))
      return !existsSync(join(root, file)) || (anchor !== undefined && !anchorsOf(file).has(anchor))
    })
}

describe('the documents', () => {
  it('lead only to what is there', () => {
    assert.ok(pages.includes('README.md') && pages.includes(join('docs', 'configuration.md')))
    assert.deepEqual(
      pages.flatMap(page => brokenLinks(page).map(target => `${page}: ${target}`)),
      [],
    )
  })

  it('describe the configuration as the schema does: `npm run docs` writes it', () => {
    const page = read('docs/configuration.md')
    assert.equal(page, withReference(page))
    const documented = Array.from(page.split('## Reference')[1]!.matchAll(/^\| `([\w.]+)`/gm), ([, key]) => key!)
    assert.deepEqual(documented.sort(), configKeys.map(({ path }) => path).sort())
  })

  it('describe the commands as the program does: `npm run docs` writes it', () => {
    assert.equal(read('docs/command-reference.md'), commandReference())
  })

  it('describe the HTTP API as openapi.yaml does: `npm run docs` writes it', () => {
    assert.equal(read('docs/http-reference.md'), httpReference())
  })

  it('name commands and options that there are', () => {
    const reference = commandReference()
    const named = pages
      .filter(page => page.startsWith('docs') && !page.includes('decisions'))
      .flatMap(page => Array.from(read(page).matchAll(/`ipdr ((?:[a-z-]+ ?)+)/g), ([, name]) => `ipdr ${name!.trim()}`))
    const commands = Array.from(reference.matchAll(/^## (ipdr .+)$/gm), ([, name]) => name!)
    assert.deepEqual(
      named.filter(name => !commands.some(command => name === command || name.startsWith(`${command} `))),
      [],
    )
  })

  it('are all in the site', () => {
    assert.deepEqual(
      contents
        .flatMap(section => section.pages)
        .filter(page => page.startsWith('docs/'))
        .sort(),
      pages
        .filter(page => page.startsWith('docs/') && !/\/(decisions\/\d|site\/)/.test(page))
        .concat()
        .sort(),
    )
  })

  it('quote messages as the program writes them', () => {
    const program = globSync('src/**/*.{js,ts}', { cwd: root })
      .map(file => readFileSync(join(root, file), 'utf8').replaceAll("\\'", "'"))
      .join('\n')
    const quoted = Array.from(read('docs/troubleshooting.md').matchAll(/^\| `([^`]+)`/gm), ([, message]) => message!)
    assert.ok(quoted.length > 30)
    const fragments = quoted.flatMap(message => message.split(/<[^>]*>/)).filter(fragment => fragment.length > 3)
    assert.deepEqual(
      fragments.filter(fragment => !program.includes(fragment)),
      [],
    )
  })

  it('begin with a page that is soon read', () => {
    assert.ok(read('README.md').split(/\s+/).length <= 1200)
  })
})
