import { homedir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from './config-error.ts'
import { type Entries, type Entry, fromText, shorten } from './entries.ts'
import { CONFIG_VARIABLE, readEnvironment } from './environment.ts'
import { readConfigFile, readValues } from './file.ts'
import type { ConfigKey } from './key-tree.ts'
import { readTracing, type TracingConfig } from './tracing.ts'
import { type Config, configKeys, configSchema, deepFreeze } from './schema.ts'

/** Read where no other file is named: the place for a container, a pod or a system service */
export const SYSTEM_FILE = '/etc/ipdr/ipdr.yml'

const keyPaths = new Set(configKeys.map(({ path }) => path))

export interface LoadConfigInit {
  /** Values of flags by key, e.g. `{ 'p2p.port': '4001', 'p2p.peers': ['/ip4/...'] }` */
  flags?: Readonly<Record<string, string | readonly string[] | undefined>>
  /** @default process.env */
  env?: NodeJS.ProcessEnv
  /** @default the file that IPDR_CONFIG names */
  file?: string | undefined
  /** Read, if it exists, where no file is named @default {@link SYSTEM_FILE} */
  systemFile?: string
}

/**
 * Merges the sources: flags beat the environment, which beats the file, which beats the defaults. Complete and frozen.
 *
 * @throws ConfigError with every problem of every source, including those of overridden values
 */
export function loadConfig({
  flags = {},
  env = process.env,
  file = env[CONFIG_VARIABLE],
  systemFile = SYSTEM_FILE,
}: LoadConfigInit = {}): Config {
  return resolve([
    file === undefined || file === '' ? readConfigFile(systemFile, { optional: true }) : readConfigFile(file),
    readEnvironment(env),
    readFlags(flags),
  ])
}

/** Where Docker's tools keep their log-ins */
export function dockerConfigFile(env: NodeJS.ProcessEnv = process.env): string {
  return join(env['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json')
}

/** Where podman and its relatives keep theirs, in the same format */
export function podmanAuthFile(env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env['XDG_RUNTIME_DIR']
  const directory = runtime ? join(runtime, 'containers') : `/run/containers/${process.getuid?.() ?? 0}`
  return env['REGISTRY_AUTH_FILE'] || join(directory, 'auth.json')
}

/** What traces are to be made and sent, by the variables of OpenTelemetry; undefined where they name no receiver */
export function tracingConfig(env: NodeJS.ProcessEnv = process.env): TracingConfig | undefined {
  return readTracing(env)
}

/** The file with the token of another server, if a variable names one */
export function adminTokenFile(env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env['IPDR_ADMIN_TOKEN_FILE'] || undefined
}

/**
 * As if a file held these values and nothing else were set.
 *
 * @throws ConfigError
 */
export function parseConfig(values: unknown): Config {
  return resolve([readValues(values, path => (path.length === 0 ? 'values' : `key ${path.join('.')}`))])
}

function readFlags(flags: NonNullable<LoadConfigInit['flags']>): Entries {
  const found: Entries = { entries: [], problems: [] }
  for (const [path, given] of Object.entries(flags)) {
    const key = configKeys.find(candidate => candidate.path === path)
    if (key === undefined) {
      found.problems.push(`${path}: unknown key (flag)`)
    } else if (given !== undefined) {
      const value = typeof given === 'string' ? fromText(key, given) : given.flatMap(item => fromText(key, item))
      found.entries.push({ key, value, source: `flag ${key.flag}` })
    }
  }
  return found
}

/** @param sources the weakest first */
function resolve(sources: readonly Entries[]): Config {
  const problems = new Set(sources.flatMap(source => source.problems))
  const winners = new Map<string, Entry>()
  for (const entry of sources.flatMap(source => source.entries)) {
    const overridden = winners.get(entry.key.path)
    if (overridden !== undefined) {
      checkAlone(overridden).forEach(problem => problems.add(problem))
    }
    winners.set(entry.key.path, entry)
  }
  const result = configSchema.safeParse(nest(winners.values()))
  for (const issue of result.error?.issues ?? []) {
    const { path, rest } = splitPath(issue.path)
    const other = issue.code === 'custom' ? issue.params?.['other'] : undefined
    const problem = { path, rest, message: issue.message, showValue: other === undefined }
    problems.add(describe(problem, winners.get(path) ?? winners.get(String(other))))
  }
  if (!result.success || problems.size > 0) {
    throw new ConfigError([...problems])
  }
  return deepFreeze(result.data)
}

function checkAlone(entry: Entry): string[] {
  const issues = entry.key.schema.safeParse(entry.value).error?.issues ?? []
  return issues.map(({ message, path }) => {
    return describe({ path: entry.key.path, rest: path, message, showValue: true }, entry)
  })
}

interface Problem {
  path: string
  /** The way to the part of the value that is wrong: an item of a list, and a field of that */
  rest: readonly PropertyKey[]
  message: string
  showValue: boolean
}

function describe({ path, rest, message, showValue }: Problem, entry: Entry | undefined): string {
  let name = path
  let value = entry?.value
  for (const step of rest) {
    // the items of a mapping of names are counted as those of a list
    const isNamed = typeof step === 'number' && typeof value === 'object' && !Array.isArray(value)
    const key = isNamed ? Object.keys(value ?? {})[step] : step
    name += typeof key === 'number' ? `[${key}]` : `.${String(key)}`
    // of an item that is a text, the text is shown
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key!] : value
  }
  if (entry === undefined) {
    return `${name}: ${message}`
  }
  const got = showValue && value !== undefined && entry.hidden !== true ? `, got ${shorten(value)}` : ''
  return `${name}: ${message}${got} (${entry.source})`
}

function nest(entries: Iterable<Entry>): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const { key, value } of entries) {
    const [first, second] = pathOf(key)
    if (second === undefined) {
      result[first] = value
    } else {
      result[first] = { ...(result[first] as object | undefined), [second]: value }
    }
  }
  return result
}

function pathOf(key: ConfigKey): [string, string | undefined] {
  const [first, second] = key.path.split('.')
  return [first!, second]
}

/** An issue of an item of a list names the key, the item's index, and its field */
function splitPath(path: readonly PropertyKey[]): { path: string; rest: readonly PropertyKey[] } {
  const length = [2, 1].find(end => keyPaths.has(path.slice(0, end).join('.'))) ?? path.length
  return { path: path.slice(0, length).join('.'), rest: path.slice(length) }
}
