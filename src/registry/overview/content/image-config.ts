import { decodeJson, isObject, parseJsonObject } from '../../../oci/manifest/manifest-fields.ts'
import { requireJsonWithin } from '../../../oci/manifest/manifest-limits.ts'
import { drained } from '../../../oci/manifest/steps.ts'
import { limited, pairsOf, textOf, textsOf, type Limited, type Pair } from './limited.ts'

/** Levels of nesting, and values: more than any builder writes */
const limits = { depth: 64, descriptors: 10_000 }
const maxHistory = 500

/** One step of the build */
export interface Step {
  /** The command as the builder noted it */
  command: string
  created: string | undefined
  /** Whether it made no layer */
  isEmpty: boolean
}

/** What a page shows of the config of an image, each list cut where it is too long */
export interface ImageConfig {
  os: string | undefined
  architecture: string | undefined
  variant: string | undefined
  created: string | undefined
  author: string | undefined
  user: string | undefined
  workingDirectory: string | undefined
  entrypoint: string[]
  command: string[]
  stopSignal: string | undefined
  ports: Limited<string>
  volumes: Limited<string>
  environment: Limited<string>
  labels: Limited<Pair>
  history: Limited<Step>
}

/**
 * Reads the config of an image, which a stranger may have made: fields of other types than they should have count as
 * absent
 *
 * @returns undefined where it is not JSON, or holds more than can be read in a moment
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md
 */
export function readConfig(bytes: Uint8Array): ImageConfig | undefined {
  const json = parse(bytes)
  if (json === undefined) {
    return undefined
  }
  const config = isObject(json['config']) ? json['config'] : {}
  return {
    os: textOf(json['os']),
    architecture: textOf(json['architecture']),
    variant: textOf(json['variant']),
    created: textOf(json['created']),
    author: textOf(json['author']),
    user: textOf(config['User']),
    workingDirectory: textOf(config['WorkingDir']),
    entrypoint: textsOf(config['Entrypoint']).items,
    command: textsOf(config['Cmd']).items,
    stopSignal: textOf(config['StopSignal']),
    ports: namesIn(config['ExposedPorts']),
    volumes: namesIn(config['Volumes']),
    environment: textsOf(config['Env']),
    labels: pairsOf(config['Labels']),
    history: historyOf(json['history']),
  }
}

function parse(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    // a config is small enough to be checked at once
    drained(requireJsonWithin(bytes, limits))
    return parseJsonObject(decodeJson(bytes))
  } catch {
    // not JSON, or too much of it
    return undefined
  }
}

function namesIn(value: unknown): Limited<string> {
  return textsOf(isObject(value) ? Object.keys(value) : undefined)
}

function historyOf(value: unknown): Limited<Step> {
  const steps = (Array.isArray(value) ? value : []).filter(isObject)
  return limited(steps, maxHistory, step => ({
    command: textOf(step['created_by']) ?? textOf(step['comment']) ?? '',
    created: textOf(step['created']),
    isEmpty: step['empty_layer'] === true,
  }))
}
