/** The files that the documents show, by what reads them: the schema of the configuration and that of the rules */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parse as parseToml } from 'smol-toml'
import { parse } from 'yaml'
import { parseAccessFile } from '../../src/access/files/access-file.ts'
import { type CodeBlock, codeBlocks, documentPages } from '../fixtures/documents/code-blocks.ts'
import { problemsOf } from '../fixtures/config-problems.ts'

const checks: Record<string, (text: string) => void> = {
  json: text => JSON.parse(text),
  toml: text => parseToml(text),
  yaml: checkYaml,
}
const keysOfRules = ['groups', 'rules', 'issuers', 'trust']
/** Of files that others read, whose form is checked where those programs are: Prometheus, Compose, GitHub, GitLab */
const keysOfOthers = ['scrape_configs', 'services', 'jobs', 'image']

function checkYaml(text: string): void {
  const values = parse(text) as Record<string, unknown>
  const isFor = (keys: readonly string[]): boolean => Object.keys(values).some(key => keys.includes(key))
  if (isFor(keysOfRules)) {
    parseAccessFile('access.yml', text)
  } else if (!isFor(keysOfOthers)) {
    assert.equal(problemsOf(values), '')
  }
}

describe('the files that the documents show', () => {
  const blocks = documentPages()
    .flatMap(codeBlocks)
    .filter(({ language }) => Object.hasOwn(checks, language))

  it('are read by what they are for', () => {
    const wrong = blocks.flatMap(({ language, line, page, text }) => {
      try {
        checks[language]!(text)
        return []
      } catch (err) {
        return [`${page}:${line}: ${(err as Error).message}`]
      }
    })
    assert.ok(blocks.length > 15)
    assert.deepEqual(wrong, [])
  })

  it('are of languages that a test knows', () => {
    const languages = new Set(
      documentPages()
        .flatMap(codeBlocks)
        .map(({ language }: CodeBlock) => language),
    )
    assert.deepEqual([...languages].sort(), ['', 'console', 'json', 'sh', 'toml', 'yaml'])
  })
})
