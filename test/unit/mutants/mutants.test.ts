import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { projectDirectory } from '../../fixtures/tools.ts'
import { placesOf, replaced } from '../../mutants/mutant.ts'
import { mutants, readSources } from '../../mutants/mutants.ts'

describe('the table of mutants', () => {
  const sources = readSources()

  it('has one place in src for each, which is still TypeScript afterwards', () => {
    for (const mutant of mutants) {
      const places = placesOf(mutant, sources)
      assert.equal(places.length, 1, `"${mutant.name}" stands in ${places.length} places: ${mutant.find}`)
      const [place] = places
      const source = replaced(sources.get(place!.file)!, place!, mutant.replace)
      assert.doesNotThrow(() => stripTypeScriptTypes(source), mutant.name)
    }
  })

  it('names tests that there are, and nothing twice', () => {
    for (const { name, tests } of mutants) {
      const missing = tests.filter(test => !existsSync(join(projectDirectory, 'test', test)))
      assert.deepEqual(missing, [], name)
      assert.ok(tests.length > 0, name)
    }
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length)
  })

  it('finds text whatever its white space is, and where it stands more than once', () => {
    const files = new Map([
      ['a.ts', 'if (a) {\n  b()\n}'],
      ['b.ts', 'if (a) { b() }; if (a) {\n\tb() }'],
    ])
    assert.deepEqual(
      placesOf({ find: 'if (a) { b()' }, files).map(({ file, start, end }) => [file, start, end]),
      [
        ['a.ts', 0, 14],
        ['b.ts', 0, 12],
        ['b.ts', 16, 29],
      ],
    )
    assert.deepEqual(placesOf({ find: 'c' }, files), [])
  })
})
