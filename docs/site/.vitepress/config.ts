/**
 * The documents as a site: `npm run docs:site` in the folder of the project. The pages are the files of the project as
 * they are; this file says where they stand, and brings along the files that they link to.
 */
import { copyFile, mkdir, stat } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { defineConfig, type MarkdownRenderer } from 'vitepress'
import { contents } from './contents.ts'

const project = join(import.meta.dirname, '../../..')
/** Files of the project that pages link to, and that are no pages */
const linked = new Set<string>()

export default defineConfig({
  title: 'IPDR',
  description: 'A container registry that is an IPFS node',
  lang: 'en-GB',
  srcDir: project,
  srcExclude: ['**/node_modules/**', '.github/**', 'src/**', 'docs/site/**', 'test/tools/**', 'ui/**', 'release/**'],
  rewrites: { 'README.md': 'index.md' },
  outDir: join(import.meta.dirname, '../dist'),
  // pictures follow the setting of the system as well, and only that
  appearance: 'force-auto',
  markdown: { config: keepLinks },
  vite: {
    // pages lie above the folder with the packages
    resolve: { alias: [{ find: /^vue(?=$|\/)/, replacement: join(import.meta.dirname, '../node_modules/vue') }] },
    logLevel: 'warn',
  },
  themeConfig: {
    outline: [2, 3],
    search: { provider: 'local' },
    sidebar: contents.map(({ pages, title }) => ({ text: title, items: pages.map(itemOf) })),
  },
  buildEnd: async ({ outDir }) => {
    for (const file of linked) {
      if ((await stat(join(project, file))).isFile()) {
        await mkdir(dirname(join(outDir, file)), { recursive: true })
        await copyFile(join(project, file), join(outDir, file))
      }
    }
  },
  // folders of the source, which the site does not have
  ignoreDeadLinks: [/\/(native|results)$/, /ipdr\.service$/],
})

function itemOf(page: string): { text: string; link: string } {
  const heading = /^# (.+)$/m.exec(readFileSync(join(project, page), 'utf8'))![1]!
  return { text: page === 'README.md' ? 'Overview' : heading, link: `/${page.replace(/^README\.md$/, '')}` }
}

/** Remembers the files that links lead to */
function keepLinks(md: MarkdownRenderer): void {
  md.core.ruler.push('linked-files', ({ env, tokens }) => {
    const targets = tokens
      .flatMap(({ children }) => children ?? [])
      .filter(({ type }) => type === 'link_open')
      .map(token => token.attrGet('href')!)
    for (const target of targets.filter(href => !/^([a-z]+:|#)/.test(href) && !/\.md(#|$)/.test(href))) {
      linked.add(posix.join(posix.dirname(env.relativePath), target.replace(/#.*/, '')))
    }
  })
}
