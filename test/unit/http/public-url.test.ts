import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Request } from 'express'
import { publicUrl } from '../../../src/http/public-url.ts'

function request(headers: Record<string, string>, encrypted = false): Request {
  return {
    socket: { encrypted, localAddress: '::1', localPort: 5000 },
    get: (name: string) => headers[name.toLowerCase()],
  } as unknown as Request
}

describe('where browsers find this registry', () => {
  for (const [what, req, tokenUrl, expected] of [
    ['its host', request({ host: 'registry.example:5000' }), undefined, 'http://registry.example:5000'],
    ['its host, by TLS', request({ host: 'registry.example' }, true), undefined, 'https://registry.example'],
    [
      'its host over HTTP/2',
      request({ ':authority': 'registry.example' }, true),
      undefined,
      'https://registry.example',
    ],
    [
      'its host, where a proxy ends TLS',
      request({ host: 'registry.example', 'x-forwarded-proto': 'https' }),
      undefined,
      'https://registry.example',
    ],
    ['its address, where the host is none', request({ host: 'a b/c' }), undefined, 'http://[::1]:5000'],
    [
      'what is configured, whatever it is asked for',
      request({ host: 'evil.example' }),
      'https://registry.example/auth/token',
      'https://registry.example',
    ],
    [
      'a prefix of a proxy',
      request({ host: '10.0.0.1:5000' }),
      'https://registry.example/registry/auth/token',
      'https://registry.example/registry',
    ],
    [
      'a host, where tokens are elsewhere',
      request({ host: '10.0.0.1:5000' }),
      'https://registry.example/get-a-token',
      'https://registry.example',
    ],
  ] as const) {
    it(`is ${what}`, () => {
      assert.equal(publicUrl(req, { tokenUrl }), expected)
    })
  }
})
