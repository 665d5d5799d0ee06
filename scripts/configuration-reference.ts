/**
 * Writes the reference into docs/configuration.md, between the two lines that mark its place: `npm run docs`.
 * A test compares the page with the schema.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConfigKey, isConfigKey, type KeyTree } from '../src/config/key-tree.ts'
import { configKeys, keyTree } from '../src/config/schema.ts'

const beginning = '<!-- from the schema, by `npm run docs` -->'
const end = '<!-- end of what is from the schema -->'

/**
 * The part of docs/configuration.md that comes from the schema: a table for the keys at the top, and one for each
 * section
 */
function configurationReference(): string {
  const top = configKeys.filter(({ path }) => !path.includes('.'))
  const sections = [...keyTree].filter((entry): entry is [string, KeyTree] => !isConfigKey(entry[1]))
  return [
    ['### Top level', tableOf(top)],
    ...sections.map(([name]) => [`### ${name}`, tableOf(configKeys.filter(({ path }) => path.startsWith(`${name}.`)))]),
  ]
    .flat()
    .join('\n\n')
}

function tableOf(keys: readonly ConfigKey[]): string {
  const rows = keys.map(key => [
    `\`${key.path}\`${flagOf(key)}`,
    acceptedBy(key),
    defaultOf(key),
    escaped(key.description),
  ])
  return [['key', 'value', 'default', 'meaning'], ['---', '---', '---', '---'], ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

/** Only where it is not the path in kebab case */
function flagOf({ flag, path, variable }: ConfigKey): string {
  const expected = variable.slice('IPDR_'.length).toLowerCase().replaceAll('_', '-')
  const short = path === 'port' ? ', `-p`' : ''
  return flag === `--${expected}` ? short : ` (\`${flag}\`)`
}

/** What the schema says to a value of no type that it knows: `must be a path` */
function acceptedBy({ choices, kind, schema }: ConfigKey): string {
  if (choices !== undefined) {
    return choices.map(choice => `\`${choice}\``).join(', ')
  }
  const wrong = Symbol('wrong')
  const { error } = schema.safeParse(kind === 'list' ? [wrong] : wrong)
  const text = escaped(error!.issues[0]!.message.replace(/^must be /, ''))
  return kind === 'list' ? `list, each ${text}` : text
}

function defaultOf({ default: value, kind }: ConfigKey): string {
  if (value === undefined) {
    return 'unset'
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? 'none' : value.map(item => `\`${item}\``).join(', ')
  }
  return `\`${kind === 'size' || kind === 'duration' ? amountOf(value as number, units[kind]) : String(value)}\``
}

const units = {
  size: { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 },
  duration: { d: 86_400, h: 3600, m: 60, s: 1 },
}

/** In the largest unit that divides it */
function amountOf(value: number, steps: Record<string, number>): string {
  const [unit, size] = Object.entries(steps).find(([, step]) => value % step === 0)!
  return value === 0 ? '0' : `${value / size}${unit}`
}

/** Words with characters that Markdown would take for its own become code */
function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/[^\s,;]*[<*][^\s,;]*/g, '`$&`')
}

/** @returns the page with the reference of this schema */
export function withReference(page: string): string {
  const [before, after] = [page.split(beginning)[0]!, page.split(end)[1]]
  if (after === undefined) {
    throw new Error(`docs/configuration.md has no line "${beginning}", or no "${end}" after it`)
  }
  return `${before}${beginning}\n\n${configurationReference()}\n\n${end}${after}`
}

if (import.meta.main) {
  const file = join(import.meta.dirname, '../docs/configuration.md')
  writeFileSync(file, withReference(readFileSync(file, 'utf8')))
}
