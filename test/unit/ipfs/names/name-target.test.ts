import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseNamePath, parseTarget } from '../../../../src/ipfs/names/name-target.ts'

const cid = 'bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma'
const key = 'k51qzi5uqu5dl8hs3xtt2ay8lhf02v613hb4av3wr80owedc7llltxsl8p5ud2'
const peer = '12D3KooWE7RxzfqyY6AswXhLkmVKTVtCEiWUs4Zs3nVmNHBCvXm6'

describe('what a record may point to', () => {
  it('is content, a key or a domain, with a path', () => {
    assert.deepEqual(parseTarget(`/ipfs/${cid}`), { cid, path: [] })
    assert.deepEqual(parseTarget(`/ipfs/${cid}/a/b c/`), { cid, path: ['a', 'b c'] })
    assert.deepEqual(parseTarget(`/ipns/${key}/cids`), { name: key, path: ['cids'] })
    assert.deepEqual(parseTarget('/ipns/Example.com/a'), { name: 'example.com', path: ['a'] })
  })

  for (const text of [
    'file:/etc',
    'file:///etc/passwd',
    '/etc/passwd',
    '/../etc',
    '',
    '/',
    '/ipfs',
    '/ipfs/',
    '/ipfs//a',
    `ipfs/${cid}`,
    cid,
    key,
    'example.com',
    '/ipfs/nothing',
    `/ipfs/${key}`,
    '/ipns/nothing',
    `/ipns/${cid}`,
    `/ipfs/${cid}//a`,
    `/dnslink/${cid}`,
    'https://example.com',
    `/ipfs/${cid}/${'a'.repeat(5000)}`,
  ]) {
    it(`is not ${JSON.stringify(text.slice(0, 60))}`, () => assert.equal(parseTarget(text), undefined))
  }
})

describe('what people ask for', () => {
  it('may be shorter', () => {
    for (const text of [key, `/ipns/${key}`, `ipns/${key}`, `ipns://${key}`]) {
      assert.deepEqual(parseNamePath(text), { name: key, path: [] }, text)
    }
    assert.deepEqual(parseNamePath('example.com/a/b'), { name: 'example.com', path: ['a', 'b'] })
    assert.deepEqual(parseNamePath(cid), { cid, path: [] })
    const { name } = parseNamePath(peer) as { name: string }
    assert.match(name, /^k51/)
    assert.deepEqual(parseNamePath(`/ipns/${peer}`), { name, path: [] })
  })

  it('must be a name', () => {
    for (const text of ['', '/', 'localhost', 'file:/etc', '/etc/passwd', '..', 'a b.example', '127.0.0.1']) {
      assert.equal(parseNamePath(text), undefined, text)
    }
  })
})
