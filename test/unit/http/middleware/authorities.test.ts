import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { authoritiesOf, hostNameOf, isOriginOf } from '../../../../src/http/middleware/authorities.ts'

describe('the authorities of a request', () => {
  for (const [what, url, headers, expected] of [
    ['Host', '/', { host: 'a:1' }, ['a:1']],
    ['Host and :authority', '/', { host: 'a', ':authority': 'b' }, ['b', 'a']],
    ['both, where they are the same', '/', { host: 'a', ':authority': 'a' }, ['a']],
    ['a whole URL', 'http://User:Word@B:80/v2/', { host: 'a' }, ['b', 'a']],
    ['a URL without a host', 'x:/v2/', { host: 'a' }, ['', 'a']],
    ['what is no URL', 'v2', { host: 'a' }, ['', 'a']],
    ['the server as a whole', '*', { host: 'a' }, ['a']],
    ['two slashes, which begin a path', '//b/v2/', { host: 'a' }, ['a']],
    ['none', '/', {}, []],
  ] as const) {
    it(`are those of ${what}`, () => assert.deepEqual(authoritiesOf({ url, headers }), expected))
  }
})

describe('the name of an authority', () => {
  for (const [authority, name] of [
    ['A.Example:5000', 'a.example'],
    ['a.example.', 'a.example'],
    ['a_b', 'a_b'],
    ['127.0.0.1:1', '127.0.0.1'],
    ['[::1]:1', '::1'],
    ['[::FFFF:1.2.3.4]', '::ffff:1.2.3.4'],
    ['a.example..', undefined],
    ['.a.example', undefined],
    ['[fe80::1%eth0]', undefined],
    ['a:', undefined],
    ['a:123456', undefined],
    ['a@b', undefined],
    ['', undefined],
    ['a\n', undefined],
  ] as const) {
    it(`of ${JSON.stringify(authority)} is ${name}`, () => assert.equal(hostNameOf(authority), name))
  }

  it('is what a URL takes for its host, whatever the text', () => {
    const letters = fc.string({ unit: fc.constantFrom(...'aB1.:[]@/\\-_%é \n?#'), maxLength: 12 })
    fc.assert(
      fc.property(
        fc.oneof(
          letters,
          fc.domain(),
          fc.ipV4(),
          fc.ipV6().map(ip => `[${ip}]`),
        ),
        authority => {
          const name = hostNameOf(authority)
          const url = URL.parse(`http://${authority}/`)
          if (name === undefined || url === null) {
            return
          }
          assert.deepEqual([url.username, url.password, url.pathname, url.search, url.hash], ['', '', '/', '', ''])
          // a URL writes addresses in their shortest form, and reads numbers as addresses
          const host = url.hostname.replace(/^\[|\]$|\.$/g, '')
          assert.ok(host === name || isIP(host) !== 0, `${authority}: ${host} and ${name}`)
        },
      ),
      { numRuns: 5000 },
    )
  })
})

describe('an origin', () => {
  it('is that of the server that it came to, for each server', () => {
    fc.assert(
      fc.property(
        fc.domain(),
        fc.integer({ min: 1, max: 65_535 }),
        fc.constantFrom('http', 'https'),
        (name, port, scheme) => {
          const { origin, host } = new URL(`${scheme}://${name}:${port}`)
          assert.ok(isOriginOf(origin, host, scheme === 'https'))
          assert.ok(isOriginOf(origin, host, false))
          assert.ok(!isOriginOf(origin.replace(/^http:/, 'ws:').replace(/^https:/, 'http:'), host, true))
          assert.ok(!isOriginOf(`${origin}.`, host, false))
          assert.ok(!isOriginOf(origin.replace(name, `x.${name}`), host, false))
        },
      ),
    )
  })

  for (const text of [
    'null',
    '',
    'http://',
    'a.example',
    'http://a.example/',
    'http://a.example/path',
    'http://x@a.example',
    'http://a.example, http://b',
    'file:///',
    'data:,a.example',
  ]) {
    it(`is none: ${JSON.stringify(text)}`, () => assert.equal(isOriginOf(text, 'a.example', false), false))
  }
})
