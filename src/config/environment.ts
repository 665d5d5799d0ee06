import { readFileSync } from 'node:fs'
import { closest } from './closest.ts'
import { type Entries, fromText, reasonOf } from './entries.ts'
import type { ConfigKey } from './key-tree.ts'
import { configKeys } from './schema.ts'

/** Names the configuration file; not a key itself */
export const CONFIG_VARIABLE = 'IPDR_CONFIG'

const prefix = 'IPDR_'
const fileSuffix = '_FILE'
const keysByVariable = new Map(configKeys.map(key => [key.variable, key]))

/** Variables of earlier programs that stand for one of our keys */
const aliases = new Map([['BOOTSTRAP', keysByVariable.get('IPDR_P2P_BOOTSTRAP')!]])

/**
 * `IPDR_P2P_PORT=4001`, or `IPDR_P2P_PORT_FILE=/run/secrets/port` for a value that a file holds. An empty variable
 * counts as unset, as compose files write `${X:-}`. An unknown `IPDR_` variable is a problem.
 */
export function readEnvironment(env: NodeJS.ProcessEnv): Entries {
  const found: Entries = { entries: [], problems: [] }
  const setBy = new Map<ConfigKey, string>()
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || text === '' || name === CONFIG_VARIABLE || isServiceLink(name, text)) {
      continue
    }
    const direct = keysByVariable.get(name) ?? aliases.get(name)
    const key = direct ?? keyOfFile(name)
    if (key === undefined) {
      if (name.startsWith(prefix)) {
        found.problems.push(unknownVariable(name))
      }
      continue
    }
    const first = setBy.get(key)
    if (first !== undefined) {
      found.problems.push(`${key.path}: is set by both ${first} and ${name}`)
      continue
    }
    setBy.set(key, name)
    if (direct !== undefined) {
      found.entries.push({ key, value: fromText(key, text), source: name })
    } else {
      readValueFile(found, key, name, text)
    }
  }
  return found
}

function readValueFile({ entries, problems }: Entries, key: ConfigKey, name: string, file: string): void {
  if (key.kind === 'path') {
    problems.push(`${name}: unknown variable; ${key.variable} already takes a path`)
    return
  }
  try {
    entries.push({ key, value: fromText(key, readFileSync(file, 'utf8').trim()), source: name, hidden: true })
  } catch (err) {
    problems.push(`${key.path}: cannot read ${file}: ${reasonOf(err)} (${name})`)
  }
}

function keyOfFile(name: string): ConfigKey | undefined {
  return name.endsWith(fileSuffix) ? keysByVariable.get(name.slice(0, -fileSuffix.length)) : undefined
}

function unknownVariable(name: string): string {
  const known = [...keysByVariable.keys(), CONFIG_VARIABLE]
  const near = closest(name, known) ?? known.find(variable => `${variable}_`.includes(`_${name.slice(prefix.length)}_`))
  const hint = near === undefined ? '; ipdr server --help has every key' : `, did you mean ${near}?`
  return `${name}: unknown variable${hint}`
}

/**
 * Kubernetes describes every service of a namespace to its pods: a service named `ipdr` sets IPDR_SERVICE_HOST,
 * IPDR_PORT=tcp://10.0.0.1:5000 and IPDR_PORT_5000_TCP_ADDR. Docker does the same for a container that is linked as
 * `ipdr`, and adds IPDR_NAME=/web/ipdr and IPDR_ENV_ before that container's own variables. They are not meant for us.
 *
 * @see https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 * @see https://docs.docker.com/engine/network/links/#environment-variables
 */
function isServiceLink(name: string, text: string): boolean {
  return (
    /_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$/.test(name) ||
    /_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z_]+)?$/.test(name) ||
    (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text)) ||
    (name.endsWith('_NAME') && /^\/[^/]+\/[^/]+$/.test(text)) ||
    /^IPDR_(.+_)?ENV_/.test(name)
  )
}
