import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OCI_ERRORS, OciError, type OciErrorCode } from '../../../src/oci/errors.ts'

describe('OciError', () => {
  /** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
  const specified = [
    'BLOB_UNKNOWN',
    'BLOB_UPLOAD_INVALID',
    'BLOB_UPLOAD_UNKNOWN',
    'DIGEST_INVALID',
    'MANIFEST_BLOB_UNKNOWN',
    'MANIFEST_INVALID',
    'MANIFEST_UNKNOWN',
    'NAME_INVALID',
    'NAME_UNKNOWN',
    'SIZE_INVALID',
    'UNAUTHORIZED',
    'DENIED',
    'UNSUPPORTED',
    'TOOMANYREQUESTS',
  ]

  it('knows every code of the specification', () =>
    assert.deepEqual(
      specified.filter(code => !Object.hasOwn(OCI_ERRORS, code)),
      [],
    ))

  for (const [code, { status, message }] of Object.entries(OCI_ERRORS)) {
    it(`${code} is a client or server error with a text`, () => {
      const error = new OciError(code as OciErrorCode)
      assert.ok(status >= 400 && status < 600 && message.length > 5 && /^[A-Z_]+$/.test(code))
      assert.deepEqual(
        [error.name, error.code, error.status, error.message, error.detail, error.headers],
        ['OciError', code, status, message, undefined, {}],
      )
    })
  }

  it('carries detail, headers and cause', () => {
    const cause = new Error('why')
    const {
      detail,
      headers,
      cause: kept,
    } = new OciError('UNKNOWN', { detail: { a: 1 }, headers: { Allow: 'GET' }, cause })
    assert.deepEqual([detail, headers, kept], [{ a: 1 }, { Allow: 'GET' }, cause])
  })
})
