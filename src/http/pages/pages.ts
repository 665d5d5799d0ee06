/**
 * `http/pages` has the files of the pages that people see in a browser. Their sources are in ui/, and what they show
 * they ask from `/ui/api/` (routes/ui-api.ts). This room is loaded when somebody opens the first page.
 */
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'
import { pageSources, type PageSources } from './page-sources.ts'

const start = 'main.ts'
const template = 'index.html'

export interface PageFile {
  /** Content-Type */
  type: string
  body: Buffer
  /** The same, compressed */
  gzip: Buffer
}

/** All pages, or only those for administrators */
export type ShownPages = 'all' | 'administration'

export interface Pages {
  /** A part of the path of every file but the first page, so that browsers can keep these for ever */
  version: string
  /** The first page, which says what the others are */
  html: Readonly<Record<ShownPages, PageFile>>
  /** By their paths below the version */
  files: ReadonlyMap<string, PageFile>
}

const types: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  ts: 'text/javascript; charset=utf-8',
}

export async function loadPages(): Promise<Pages> {
  const { [template]: html, ...sources } = await pageSources()
  if (html === undefined) {
    throw new Error(`ui/${template} is missing`)
  }
  const version = createHash('sha256').update(JSON.stringify(sources)).digest('hex').slice(0, 12)
  const files = await Promise.all(
    Object.entries(sources).map(async ([path, text]) => [path, await pageFile(path, text)] as const),
  )
  const first = firstPage(html, sources, version)
  return {
    version,
    html: {
      all: await pageFile(template, first),
      administration: await pageFile(template, first.replace('<html ', '<html data-pages="administration" ')),
    },
    files: new Map(files),
  }
}

/** Names what the first page needs, so that a browser asks for all of it at once */
function firstPage(html: string, sources: PageSources, version: string): string {
  const preloads = modulesFrom(sources, start).map(path => `<link rel="modulepreload" href="ui/${path}">\n`)
  return html.replace('</head>', () => `${preloads.join('')}</head>`).replaceAll('"ui/', () => `"ui/${version}/`)
}

/** All that a module imports, and what that imports, without what is imported only once it is needed */
function modulesFrom(sources: PageSources, path: string, seen = new Set<string>()): string[] {
  seen.add(path)
  for (const [, specifier] of (sources[path] ?? '').matchAll(/\b(?:from|import)\s*["'](\.[^"']+)["']/g)) {
    const target = posix.join(posix.dirname(path), specifier!)
    if (!seen.has(target)) {
      modulesFrom(sources, target, seen)
    }
  }
  return [...seen]
}

async function pageFile(path: string, text: string): Promise<PageFile> {
  const body = Buffer.from(text)
  return {
    type: types[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    body,
    gzip: await promisify(gzip)(body, { level: constants.Z_BEST_COMPRESSION }),
  }
}
