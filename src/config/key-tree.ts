import { z } from 'zod'
import { notes, type KeyNotes } from './keys.ts'

/** A key that holds a value, as opposed to a section */
export interface ConfigKey extends Omit<KeyNotes, 'flag'> {
  /** e.g. `p2p.swarmKey` */
  path: string
  /** e.g. `--p2p-swarm-key` */
  flag: string
  /** e.g. `IPDR_P2P_SWARM_KEY` */
  variable: string
  schema: z.ZodType
  /** Undefined where the key is unset by default */
  default: unknown
}

/** What a section holds: keys and further sections, in the order of the schema */
export type KeyTree = ReadonlyMap<string, ConfigKey | KeyTree>

export function isConfigKey(node: ConfigKey | KeyTree): node is ConfigKey {
  return !(node instanceof Map)
}

/** @param defaults of the keys in `shape` */
export function treeOf(shape: z.ZodRawShape, defaults: object, parents: string[]): KeyTree {
  return new Map(
    Object.entries(shape).map(([name, schema]): [string, ConfigKey | KeyTree] => {
      const path = [...parents, name]
      const initial: unknown = (defaults as Record<string, unknown>)[name]
      if (schema instanceof z.ZodPrefault) {
        return [name, treeOf((schema.unwrap() as z.ZodObject).shape, initial as object, path)]
      }
      const kebab = path.join('-').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
      const { flag = kebab, ...noted } = notes.get(schema as z.ZodType)!
      return [
        name,
        {
          ...noted,
          path: path.join('.'),
          flag: `--${flag}`,
          variable: `IPDR_${kebab.replaceAll('-', '_').toUpperCase()}`,
          schema: schema as z.ZodType,
          default: initial,
        },
      ]
    }),
  )
}

/** All keys, in the order of the schema */
export function* keysOf(tree: KeyTree): Generator<ConfigKey> {
  for (const node of tree.values()) {
    if (isConfigKey(node)) {
      yield node
    } else {
      yield* keysOf(node)
    }
  }
}
