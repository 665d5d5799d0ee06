import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { reportError } from '../../../../src/cli/output/report-error.ts'
import { UsageError } from '../../../../src/cli/process/errors.ts'
import { ConfigError } from '../../../../src/config/config-error.ts'
import { fakeContext } from '../fake-context.ts'

const expected: [string, unknown, string][] = [
  ['a usage error', new UsageError('no such thing'), 'ipdr: no such thing\n'],
  ['its hint', new UsageError('no such thing', 'Try another.'), 'ipdr: no such thing\nTry another.\n'],
  ['every problem of a configuration', new ConfigError(['a', 'b']), 'ipdr: a\nipdr: b\n'],
  ['any error that is expected', Object.assign(new Error('two\nlines'), { expected: true }), 'ipdr: two lines\n'],
]

function printed(err: unknown): string {
  const { stderr } = fakeContext()
  reportError(err, stderr)
  return stderr.text
}

describe('reportError', () => {
  for (const [title, err, text] of expected) {
    it(`prints ${title} without a stack`, () => assert.equal(printed(err), text))
  }

  for (const err of [
    new Error('boom', { cause: new Error('inner') }),
    Object.assign(new Error('boom'), { expected: 'yes' }),
  ]) {
    it('prints anything else with its stack', () => {
      assert.match(printed(err), /^ipdr: this is a bug[^\n]*\nError: boom\n {4}at /)
    })
  }

  for (const value of [undefined, null, 'boom', 42]) {
    it(`copes with ${String(value)} being thrown`, () => assert.match(printed(value), /^ipdr: this is a bug/))
  }
})
