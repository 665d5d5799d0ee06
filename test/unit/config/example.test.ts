import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { loadConfig, parseConfig } from '../../../src/config/load.ts'
import type { ConfigKey } from '../../../src/config/key-tree.ts'
import { configKeys, defaultConfig } from '../../../src/config/schema.ts'

const directory = join(import.meta.dirname, '../../../config')
const example = readFileSync(join(directory, 'ipdr.yml'), 'utf8')

/** The lines of the example with the keys that are commented out put back */
const complete = example.replace(/^( *)#(\w)/gm, '$1$2')

function valueAt(values: unknown, { path }: ConfigKey): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], values)
}

function leaves(value: unknown, path: string[] = []): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([name, item]) => leaves(item, [...path, name]))
    : [path.join('.')]
}

describe('config/ipdr.yml', () => {
  it('names every key, and no other, in the order of the schema', () => {
    assert.deepEqual(
      leaves(parse(complete)),
      configKeys.map(({ path }) => path),
    )
  })

  it('gives every key its default, and comments out those that are unset', () => {
    const values: unknown = parse(example)
    for (const key of configKeys) {
      assert.equal(valueAt(values, key) === undefined, key.default === undefined, key.path)
    }
    assert.deepEqual(parseConfig(values), defaultConfig)
  })

  it('has sensible values in its comments', () => {
    assert.doesNotThrow(() =>
      parseConfig({ ...(parse(complete) as object), network: 'private', upstreams: ['docker.io'] }),
    )
  })

  it('explains each key with its description', () => {
    const lines = complete.split('\n').map(line => line.trim())
    let from = 0
    for (const { choices, description, path } of configKeys) {
      const comment = lines.indexOf(`# ${description}${choices === undefined ? '' : `: ${choices.join(', ')}`}`, from)
      assert.notEqual(comment, -1, path)
      assert.ok(lines[comment + 1]!.startsWith(`${path.split('.').at(-1)}:`), path)
      from = comment + 1
    }
  })
})

describe('every configuration under config/', () => {
  for (const name of globSync('**/ipdr*.{yml,yaml,json}', { cwd: directory })) {
    it(`${name} is a valid configuration`, () =>
      assert.doesNotThrow(() => loadConfig({ file: join(directory, name), env: {} })))
  }
})
