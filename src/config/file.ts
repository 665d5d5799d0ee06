import { readFileSync } from 'node:fs'
import { isMap, LineCounter, parseDocument } from 'yaml'
import { closest } from './closest.ts'
import { type Entries, reasonOf, shorten } from './entries.ts'
import { isConfigKey, type KeyTree } from './key-tree.ts'
import { keyTree } from './schema.ts'

/**
 * A YAML file (JSON is YAML); a key without a value counts as unset, so that every key of a section may be commented
 * out
 *
 * @param optional whether the file may be missing
 */
export function readConfigFile(file: string, { optional = false } = {}): Entries {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (err) {
    if (optional && absent.has((err as NodeJS.ErrnoException).code)) {
      return { entries: [], problems: [] }
    }
    return { entries: [], problems: [`${file}: cannot be read: ${reasonOf(err)}`] }
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ message, pos }) => {
      const { line, col } = lines.linePos(pos[0])
      return `${file}: line ${line}, column ${col}: ${shortMessage(message)}`
    })
    return { entries: [], problems }
  }
  let values: unknown
  try {
    values = document.toJS()
  } catch (err) {
    return { entries: [], problems: [`${file}: ${shortMessage((err as Error).message)}`] }
  }
  return readValues(values, path => {
    if (path.length === 0) {
      return `file ${file}`
    }
    const position = isMap(document.contents) ? keyOffset(document.contents, path) : undefined
    const line = position === undefined ? '' : ` line ${lines.linePos(position).line}`
    return `file key ${path.join('.')}, ${file}${line}`
  })
}

const absent = new Set<string | undefined>(['ENOENT', 'ENOTDIR'])

/** @param sourceOf where the value with this path came from */
export function readValues(values: unknown, sourceOf: (path: string[]) => string): Entries {
  const found: Entries = { entries: [], problems: [] }
  walk(found, values, keyTree, [], sourceOf)
  return found
}

function walk(
  found: Entries,
  values: unknown,
  tree: KeyTree,
  parents: string[],
  sourceOf: (path: string[]) => string,
): void {
  if (values === null || values === undefined) {
    return
  }
  if (typeof values !== 'object' || Array.isArray(values)) {
    // the whole content of a file that is not a configuration may be a secret key
    const [name, got] =
      parents.length === 0
        ? ['configuration', typeof values === 'string' ? 'a text' : shorten(values)]
        : [parents.join('.'), shorten(values)]
    found.problems.push(`${name}: must be a mapping of keys to values, got ${got} (${sourceOf(parents)})`)
    return
  }
  for (const [name, value] of Object.entries(values)) {
    const path = [...parents, name]
    const node = tree.get(name)
    if (node === undefined) {
      const near = closest(name, tree.keys())
      const hint = near === undefined ? '' : `, did you mean ${[...parents, near].join('.')}?`
      found.problems.push(`${printable(path.join('.'))}: unknown key${hint} (${printable(sourceOf(path))})`)
    } else if (!isConfigKey(node)) {
      walk(found, value, node, path, sourceOf)
    } else if (value !== null && value !== undefined) {
      found.entries.push({ key: node, value, source: sourceOf(path) })
    }
  }
}

function keyOffset(contents: unknown, path: readonly string[]): number | undefined {
  const [name, ...rest] = path
  if (!isMap(contents) || name === undefined) {
    return undefined
  }
  const pair = contents.items.find(item => String(item.key) === name)
  if (rest.length > 0) {
    return keyOffset(pair?.value, rest)
  }
  return (pair?.key as { range?: [number, number, number] } | undefined)?.range?.[0]
}

/** The first sentence of what the parser says, on one line */
function shortMessage(message: string): string {
  return printable(message.split('\n')[0]!)
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, character => JSON.stringify(character).slice(1, -1))
}
