import type { Mutant } from './mutant.ts'

const hostile = ['unit/upstream/hostile-upstream.test.ts']
const tokens = ['unit/upstream/upstream-tokens.test.ts']
const upstream = ['unit/upstream/registry-upstream.test.ts']
const config = ['unit/config/upstreams.test.ts']

/** What keeps a registry that is mirrored from lying, leading elsewhere, or taking all there is */
export const upstreams: Mutant[] = [
  {
    name: 'a manifest of an upstream is not compared with its digest',
    find: 'if (expected !== undefined && expected !== digest) { throw errors.invalid(`sent another',
    replace: 'if (false) { throw errors.invalid(`sent another',
    tests: hostile,
  },
  {
    name: 'the digest that an upstream tells is believed',
    find: 'const expected = isDigest(reference) ? reference : told',
    replace: 'const expected = isDigest(reference) ? reference : undefined',
    tests: hostile,
  },
  {
    name: 'a manifest of an upstream may be of any length',
    find: 'if (size > maxManifestBytes) { throw errors.invalid(',
    replace: 'if (false) { throw errors.invalid(',
    tests: hostile,
  },
  {
    name: 'a body of an upstream may be longer than it says',
    find: 'if (length !== undefined && total > length) {',
    replace: 'if (false) {',
    tests: hostile,
  },
  {
    name: 'a body of an upstream may be shorter than it says',
    find: 'if (length !== undefined && total < length) {',
    replace: 'if (false) {',
    tests: hostile,
  },
  {
    name: 'an upstream may send as slowly as it likes',
    find: 'if (pace.bytes < rate.bytes) {',
    replace: 'if (false) {',
    tests: hostile,
  },
  {
    name: 'an upstream may send another part of a blob',
    find: 'if (rangeHeader(asked) === undefined || !isRight) {',
    replace: 'if (rangeHeader(asked) === undefined) {',
    tests: hostile,
  },
  {
    name: 'an upstream may compress what it sends',
    find: "if (!['', 'identity'].includes(",
    replace: "if (!['', 'identity', 'gzip'].includes(",
    tests: hostile,
  },
  {
    name: 'a redirect may lead to a private address, as a number',
    find: 'if (isIP(host) !== 0 && !isOwn && !this.#allows(host)) {',
    replace: 'if (false) {',
    tests: hostile,
  },
  {
    name: 'a redirect may lead to a private address, by a name',
    find: 'found : found?.filter(({ address }) => this.#allows(address))',
    replace: 'found : found',
    tests: hostile,
  },
  {
    name: 'an IPv4 address inside IPv6 counts as public',
    find: 'const inner = isIPv6(plain) ? ipv4Of(plain) : undefined',
    replace: 'const inner = undefined as string | undefined',
    tests: ['unit/upstream/address-class.test.ts'],
  },
  {
    name: 'an upstream is asked although it wants no requests',
    find: 'this.#throttle.require()',
    replace: '',
    tests: hostile,
  },
  {
    name: 'an upstream that fails is not asked again',
    find: 'if (!mayPass || attempt >= tries || performance.now() - began > retryTime) {',
    replace: 'if (true) {',
    tests: hostile,
  },
  {
    name: 'the pages of a list of an upstream may lead elsewhere',
    find: 'if (!isSameServer(next, this.#init.url) || seen.has(next.href)',
    replace: 'if (seen.has(next.href)',
    tests: hostile,
  },
  {
    name: 'each request gets a token of its own',
    find: "return await this.#logIns.run( scopes.join(' '),",
    replace: 'return await this.#logIns.run( String(Math.random()),',
    tests: tokens,
  },
  {
    name: 'a token is used after it expired',
    find: 'if (kept !== undefined && performance.now() >= kept.expires) {',
    replace: 'if (false) {',
    tests: tokens,
  },
  {
    name: 'a token that is no use is asked for again by each request',
    find: 'if (refused !== undefined && header !== undefined && header !== refused) {',
    replace: 'if (false) {',
    tests: tokens,
  },
  {
    name: 'a client that goes away ends the token or the block that others wait for',
    find: 'if (shared.waiting === 0) {',
    replace: 'if (true) {',
    tests: ['unit/scheduling/shared-calls.test.ts', 'unit/ipfs/retrieval/retrieval.test.ts'],
  },
  {
    name: 'Via names this registry alone',
    find: "return via === undefined || via.trim() === '' ?",
    replace: 'return true ?',
    tests: ['unit/oci/via.test.ts'],
  },
  {
    name: 'a body that nobody reads keeps its place for ever',
    find: 'const timer = setTimeout(end, timeout)',
    replace: 'const timer = setTimeout(() => {}, timeout)',
    tests: upstream,
  },
  {
    name: 'an upstream sends as fast as it can',
    find: 'await egress.take(byteLength, { signal })',
    replace: '',
    tests: upstream,
  },
  {
    name: 'an upstream may be listed twice',
    find: 'if (listed.slice(0, index).some(other => other.name === name)) {',
    replace: 'if (false) {',
    tests: config,
  },
  {
    name: 'the URL of an upstream may hold a password',
    find: 'return url !== null && /^https?:$/.test(url.protocol) && url.href ===',
    replace: "return url !== null && /^https?:$/.test(url.protocol) && '' !==",
    tests: config,
  },
]
