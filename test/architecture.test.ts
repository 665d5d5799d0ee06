/**
 * The arrows between the folders of src/, checked from the import lines:
 *
 * ```
 * main -> cli -> { appliance, client, remote, config, oci }     appliance -> everything in src but cli and client
 * client -> { remote, upkeep, registry, ipfs, oci, events (types only) }     remote -> oci
 * http -> { access, events, upkeep, registry, oci }     events -> { registry, oci, index (types only) }
 * upstream -> { remote, registry (its interface for upstreams), oci }
 * upkeep -> { access, registry, ipfs, index (types only), oci }
 * registry -> { access (types only), ipfs, index (types only), oci }     ipfs, index, access -> oci     oci -> nothing
 * the types of log and metrics, and scheduling, which knows nothing of what it runs: from anywhere
 * ```
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { builtinModules, stripTypeScriptTypes } from 'node:module'
import { join, posix } from 'node:path'
import { describe, it } from 'node:test'
import packageJson from '../package.json' with { type: 'json' }

const root = join(import.meta.dirname, '..')
const maxLines = 300
/** Beside those whose files are all alike, one for each command or kind of endpoint */
const maxFiles = 20
const foldersOfOneKind = ['src/cli/commands', 'src/http/routes']
/** The formatter leaves comments and strings as long as they are */
const maxColumns = 120
const everyPackage = { ...packageJson.devDependencies, ...packageJson.dependencies }

/** What each part of src/ may import, beside itself */
const arrows: Record<string, { values: string[]; types?: string[] }> = {
  main: { values: ['cli', 'lean-imports'] },
  cli: { values: ['access', 'appliance', 'client', 'remote', 'config', 'oci', 'log', 'metrics'] },
  appliance: {
    values: [
      'access',
      'config',
      'events',
      'http',
      'upkeep',
      'registry',
      'upstream',
      'ipfs',
      'index',
      'oci',
      'scheduling',
      'log',
      'metrics',
      'lean-imports',
    ],
  },
  client: { values: ['remote', 'upkeep', 'registry', 'ipfs', 'oci', 'scheduling'], types: ['events'] },
  remote: { values: ['oci', 'scheduling'] },
  upstream: { values: ['registry', 'remote', 'oci', 'scheduling'] },
  events: { values: ['registry', 'oci', 'scheduling'], types: ['index'] },
  http: { values: ['access', 'events', 'upkeep', 'registry', 'oci', 'scheduling'] },
  upkeep: { values: ['access', 'registry', 'ipfs', 'oci', 'scheduling'], types: ['index'] },
  registry: { values: ['ipfs', 'oci', 'scheduling'], types: ['access', 'index'] },
  access: { values: ['oci', 'scheduling'] },
  ipfs: { values: ['oci', 'scheduling'] },
  scheduling: { values: [] },
  index: { values: ['oci'] },
  config: { values: [] },
  oci: { values: [] },
  log: { values: [] },
  metrics: { values: [] },
  'lean-imports': { values: [] },
}
const typesForAll = ['log', 'metrics']

/** Packages that belong to one place, with the files that may import them */
const homes: { packages: RegExp; files: RegExp }[] = [
  {
    packages: /^(helia|libp2p|blockstore-fs|kubo-rpc-client|ipfs-.+|@helia\/.+|@libp2p\/.+|@chainsafe\/libp2p-.+)$/,
    files: /^src\/ipfs\//,
  },
  {
    packages: /^(datastore-level|level|classic-level)$/,
    files: /^src\/(index\/.+|appliance\/groups\/network\.ts)$/,
  },
  { packages: /^undici$/, files: /^src\/(upstream|events\/webhooks)\// },
  { packages: /^express$/, files: /^src\/http\// },
  { packages: /^commander$/, files: /^src\/cli\// },
  { packages: /^@opentelemetry\/.+$/, files: /^src\/appliance\/tracing\// },
  { packages: /^prom-client$/, files: /^src\/metrics\.ts$/ },
]

interface Import {
  /** `src/http/routes/app.ts`, or the name of a package */
  target: string
  kind: 'ours' | 'package' | 'node'
  typeOnly: boolean
  specifier: string
}

interface Source {
  /** e.g. `src/http/routes/app.ts` */
  file: string
  text: string
  /** Without types, which leaves the imports that happen when it runs */
  code: string
}

const sources: Source[] = globSync('src/**/*.{js,ts}', { cwd: root })
  .sort()
  .map(file => {
    const text = readFileSync(join(root, file), 'utf8')
    return { file: file.replaceAll('\\', '/'), text, code: stripTypeScriptTypes(text) }
  })

function specifiersOf(text: string): string[] {
  const statements = /^[ \t]*(?:import|export)\b(?:[^'"();]*?\bfrom\s*|\s*)(['"])([^'"\n]+)\1/gm
  const calls = /\bimport\s*\(\s*(['"])([^'"\n]+)\1/g
  return [statements, calls].flatMap(pattern => [...text.matchAll(pattern)].map(match => match[2]!))
}

function importsOf({ code, file, text }: Source): Import[] {
  const values = new Set(specifiersOf(code))
  return [...new Set(specifiersOf(text))].map(specifier => {
    const typeOnly = !values.has(specifier)
    if (specifier.startsWith('.')) {
      return { specifier, typeOnly, kind: 'ours', target: posix.join(posix.dirname(file), specifier) }
    }
    if (specifier.startsWith('node:') || builtinModules.includes(specifier)) {
      return { specifier, typeOnly, kind: 'node', target: specifier }
    }
    return {
      specifier,
      typeOnly,
      kind: 'package',
      target: specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    }
  })
}

/**
 * The folder of src/, or for a file beside the folders its name; what only the appliance is made of counts as appliance
 */
function partOf(file: string): string {
  const [, first, ...rest] = file.split('/')
  const name = rest.length === 0 ? first!.replace(/\.[jt]s$/, '') : first!
  return rest.length === 0 && !Object.hasOwn(arrows, name) ? 'appliance' : name
}

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  const { types = [], values } = arrows[from] ?? { values: [] }
  return from === to || values.includes(to) || (typeOnly && (types.includes(to) || typesForAll.includes(to)))
}

/** @param find - what is wrong with a file, e.g. `imports x` */
function check(title: string, find: (source: Source) => string[]): void {
  it(title, () => {
    assert.deepEqual(
      sources.flatMap(source => find(source).map(problem => `${source.file} ${problem}`)),
      [],
    )
  })
}

/** Folders in which each may import what comes after it, and nothing before */
const roomsInOrder = [
  [
    'src/upkeep',
    'src/upkeep/maintenance',
    'src/upkeep/status',
    'src/upkeep/retention',
    'src/upkeep/fsck',
    'src/upkeep/gc',
    'src/upkeep/rebuild',
    'src/upkeep/history',
    'src/upkeep/backup',
  ],
  [
    'src/registry/mirror',
    'src/registry/mirror/prefetch',
    'src/registry/mirror/images',
    'src/registry/repositories',
    'src/registry/overview',
    'src/registry/overview/files',
    'src/registry/overview/content',
    'src/registry/overview/catalogue',
    'src/registry/signatures',
    'src/registry/signatures/notation',
    'src/registry/signatures/formats',
    'src/registry/uploads',
    'src/registry/quotas',
    'src/registry/policies',
    'src/registry/tags',
    'src/registry/mirror/fetch',
    'src/registry/sharing',
    'src/registry',
    'src/registry/image',
  ],
  [
    'src/access',
    'src/access/log-in',
    'src/access/tokens',
    'src/access/files',
    'src/access/audit',
    'src/access/issuers',
    'src/access/rules',
  ],
  ['src/oci/manifest', 'src/oci'],
  ['src/appliance', 'src/appliance/doctor', 'src/appliance/groups', 'src/appliance/checks', 'src/appliance/directory'],
  ['src/cli', 'src/cli/commands', 'src/cli/flags', 'src/cli/output', 'src/cli/process'],
  ['src/http/routes', 'src/http/pages', 'src/http/middleware', 'src/http/responses', 'src/http', 'src/http/bodies'],
  [
    'src/client/transfer',
    'src/client/mirrors',
    'src/client/backup',
    'src/client/engine',
    'src/client/files',
    'src/client/ipfs',
    'src/client/registry',
    'src/client/images',
    'src/client/appliance',
    'src/client',
  ],
  ['src/events', 'src/events/webhooks', 'src/events/formats'],
  ['src/remote/registry', 'src/remote/http', 'src/remote'],
  [
    'src/ipfs/kubo',
    'src/ipfs/retrieval',
    'src/ipfs/names',
    'src/ipfs/digests',
    'src/ipfs/node',
    'src/ipfs/node/patches',
    'src/ipfs/content',
    'src/ipfs/car',
    'src/ipfs/dag',
    'src/ipfs/hashing',
    'src/ipfs/blockstore',
    'src/ipfs/blocks',
    'src/ipfs',
  ],
]

describe('the reading of import lines', () => {
  const text = [
    "import a, { b } from 'a'",
    "import type { c } from './c.ts'",
    "import {\n  d,\n  type e\n} from '../d.ts'",
    "import { type f } from 'f'",
    "import 'g'",
    "export { h } from '@scope/h/sub'",
    "export type { i } from 'i'",
    "const j = await import('j')",
    "let k: import('k').K",
    ' * import x from "x"',
    "const from = 'x'",
    'export const y = 1',
    "export function z () { return 'z' }",
  ].join('\n')

  it('finds all of them, and tells types from values', () => {
    const code = stripTypeScriptTypes(text.replace(/^ \*.*$/m, ''))
    const found = importsOf({ file: 'src/http/x.ts', text, code })
    assert.deepEqual(
      found.filter(({ typeOnly }) => !typeOnly).map(({ target }) => target),
      ['a', 'src/d.ts', 'f', 'g', '@scope/h', 'j'],
    )
    assert.deepEqual(
      found.filter(({ typeOnly }) => typeOnly).map(({ target }) => target),
      ['src/http/c.ts', 'i', 'k'],
    )
  })

  it('knows where a file belongs', () => {
    assert.deepEqual(
      ['src/main.js', 'src/http/routes/blobs.ts', 'src/log.ts', 'src/appliance/appliance.ts', 'src/other.ts'].map(
        partOf,
      ),
      ['main', 'http', 'log', 'appliance', 'appliance'],
    )
  })

  it('sees files', () => assert.ok(sources.length > 20))
})

describe('architecture', () => {
  check('every folder is one that we know', ({ file }) =>
    Object.hasOwn(arrows, partOf(file)) ? [] : ['is in an unknown folder'],
  )

  check('imports follow the arrows', source =>
    importsOf(source)
      .filter(
        ({ kind, target, typeOnly }) => kind === 'ours' && !mayImport(partOf(source.file), partOf(target), typeOnly),
      )
      .map(({ target, typeOnly }) => `imports ${typeOnly ? 'a type' : 'a value'} of ${target}`),
  )

  check('imports of our own files end in .ts and stay in src', source =>
    importsOf(source)
      .filter(({ kind, target }) => kind === 'ours' && !/^src\/.+\.ts$/.test(target) && target !== 'package.json')
      .map(({ specifier }) => `imports ${specifier}`),
  )

  check('imports of Node say so', source =>
    importsOf(source)
      .filter(({ kind, specifier }) => kind === 'node' && !specifier.startsWith('node:'))
      .map(({ specifier }) => `imports ${specifier} without node:`),
  )

  check('rooms of a folder are in order', source =>
    importsOf(source)
      .filter(({ kind }) => kind === 'ours')
      .flatMap(({ target }) => {
        const [from, to] = [posix.dirname(source.file), posix.dirname(target)]
        const rooms = roomsInOrder.find(order => order.includes(from) && order.includes(to))
        return rooms !== undefined && rooms.indexOf(from) > rooms.indexOf(to)
          ? [`imports ${target}, which comes before it`]
          : []
      }),
  )

  it('folders import each other in no circle', () => {
    const folders = new Map<string, Set<string>>()
    for (const source of sources) {
      const from = posix.dirname(source.file)
      const targets = importsOf(source).filter(({ kind }) => kind === 'ours')
      const others = targets.map(({ target }) => posix.dirname(target)).filter(folder => folder !== from)
      folders.set(from, new Set([...(folders.get(from) ?? []), ...others]))
    }
    // files beside the folders are parts of their own
    folders.delete('src')
    // a folder that imports only folders that are settled is settled; what is left over is in a circle, or above one
    for (let before = -1; before !== folders.size; ) {
      before = folders.size
      for (const [folder, imported] of folders) {
        if (![...imported].some(other => folders.has(other))) {
          folders.delete(folder)
        }
      }
    }
    assert.deepEqual([...folders.keys()], [])
  })

  it(`no folder has more than ${maxFiles} files that are not alike`, () => {
    const folders = Map.groupBy(sources, ({ file }) => posix.dirname(file))
    assert.deepEqual(
      [...folders]
        .filter(([folder, files]) => files.length > maxFiles && !foldersOfOneKind.includes(folder))
        .map(([folder, files]) => `${folder} has ${files.length} files`),
      [],
    )
  })

  check('packages stay where they belong', source =>
    importsOf(source)
      .filter(
        ({ kind, target }) =>
          kind === 'package' && homes.some(({ files, packages }) => packages.test(target) && !files.test(source.file)),
      )
      .map(({ target }) => `imports ${target}`),
  )

  check('packages are dependencies', source =>
    importsOf(source)
      .filter(
        ({ kind, target, typeOnly }) =>
          kind === 'package' && !Object.hasOwn(typeOnly ? everyPackage : packageJson.dependencies, target),
      )
      .map(({ target }) => `imports ${target}`),
  )

  check('imports name what they import', ({ code }) =>
    [...code.matchAll(/\bimport\s*\((?!\s*['"])[^\n]*/g)].map(([call]) => `has ${call}`),
  )

  check('only config/load.ts reads the environment', ({ code, file }) => {
    const reads =
      /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\s*\[|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b|import\s*\{[^}]*\benv\b[^}]*\}\s*from\s*['"]node:process/
    return reads.test(code) && file !== 'src/config/load.ts' ? ['reads process.env'] : []
  })

  check('nothing is a default export', ({ code }) =>
    /^\s*export\s+default\b|^\s*export\s*\{[^}]*\bas\s+default\b/m.test(code) ? ['has a default export'] : [],
  )

  check(`no file is longer than ${maxLines} lines`, ({ text }) => {
    const lines = text.trimEnd().split('\n').length
    return lines > maxLines ? [`has ${lines} lines`] : []
  })

  check(`no line is longer than ${maxColumns} columns`, ({ text }) => longLines(text).map(line => `has ${line}`))

  it(`no line of a script, and no comment of a test or the bench, is longer than ${maxColumns} columns`, () => {
    const scripts = globSync('scripts/**/*.ts', { cwd: root })
    const others = globSync(['bench/**/*.ts', 'test/**/*.ts'], { cwd: root })
    const linesOf = (file: string): string[] => longLines(readFileSync(join(root, file), 'utf8'))
    assert.deepEqual(
      [
        ...scripts.flatMap(file => linesOf(file).map(line => `${file} has ${line}`)),
        // strings there are requests, messages and drawings, as they have to be
        ...others.flatMap(file =>
          linesOf(file)
            .filter(line => /^\s*(\*|\/\/|\/\*)/.test(line))
            .map(line => `${file} has ${line}`),
        ),
      ],
      [],
    )
  })
})

/** The line that says how a file is run can't be wrapped */
function longLines(text: string): string[] {
  return text.split('\n').filter(line => line.length > maxColumns && !line.startsWith('#!'))
}
