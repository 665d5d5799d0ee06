import type { Mutant } from './mutant.ts'

const plainHttp = 'unit/remote/http/plain-http.test.ts'
const bounds = 'unit/remote/http/bounds.test.ts'
const cids = 'unit/oci/cid.test.ts'
const directBodies = 'http/direct-bodies.test.ts'
const limits = 'http/limits.test.ts'
const repair = 'unit/upkeep/fsck/repair.test.ts'
const manifests = 'http/manifests.test.ts'
const challenges = 'unit/remote/registry/challenges.test.ts'
const registryClient = 'unit/remote/registry/registry-client.test.ts'
const pageAdministrators = 'http/page-administrators.test.ts'
const peerTrust = 'unit/access/files/peer-trust.test.ts'
const peerCertificates = 'unit/ipfs/node/peer-certificates.test.ts'

/** What keeps strangers from what is not theirs, and from more than their share */
export const security: Mutant[] = [
  {
    name: 'a registry with TLS sends the log-in to a realm without',
    find: "!plainHttp && (registry.protocol === 'https:' || !isLoopback(url.hostname))",
    replace: '!plainHttp && !isLoopback(url.hostname)',
    tests: [plainHttp],
  },
  {
    name: 'a registry without TLS sends the log-in to another host without',
    find: "registry.protocol === 'http:' && url.hostname === registry.hostname",
    replace: "registry.protocol === 'http:'",
    tests: [plainHttp],
  },
  {
    name: 'a realm may be asked without TLS',
    find: '!isLoopback(url.hostname))) { throw new InvalidAnswerError(',
    replace: '!isLoopback(url.hostname))) { void new InvalidAnswerError(',
    tests: [plainHttp],
  },
  {
    name: 'a token with line breaks becomes a header',
    find: String.raw`return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)`,
    replace: "return typeof value === 'string'",
    tests: [bounds],
  },
  {
    name: 'one server by any of its addresses is taken for another',
    find: 'addressesOf(a).some(({ origin }) => addressesOf(b).some(other => other.origin === origin))',
    replace: 'addressesOf(a).every(({ origin }) => addressesOf(b).some(other => other.origin === origin))',
    tests: [bounds],
  },
  {
    name: 'one server by all of its addresses is taken for another',
    find: 'addressesOf(a).some(({ origin }) => addressesOf(b).some(other => other.origin === origin))',
    replace: 'addressesOf(a).some(({ origin }) => addressesOf(b).every(other => other.origin === origin))',
    tests: [bounds],
  },
  {
    name: 'the client waits for ever for the rest of a body',
    find: 'const idleTimeout = minute',
    replace: 'const idleTimeout = 2 ** 30',
    tests: [bounds],
  },
  {
    name: 'the client waits for ever for an answer',
    find: 'const answerTimeout = 2 * minute',
    replace: 'const answerTimeout = 2 ** 30',
    tests: [bounds],
  },
  {
    name: 'the client waits for ever for a text that comes byte by byte',
    find: 'if (performance.now() > end) {',
    replace: 'if (false) {',
    tests: [bounds],
  },
  {
    name: 'the client holds a text of any length',
    find: 'if (size > maxBytes) { throw new InvalidAnswerError(',
    replace: 'if (false) { throw new InvalidAnswerError(',
    tests: [bounds],
  },
  {
    name: 'the client holds a line of any length',
    find: 'if (text.length > maxTextBytes) {',
    replace: 'if (false) {',
    tests: [bounds],
  },
  {
    name: 'the client reads an error of any length',
    find: 'const text = await answer.text(maxErrorBytes)',
    replace: 'const text = await answer.text(Infinity)',
    tests: [bounds],
  },
  {
    name: 'the client tells an error of any length',
    find: ".join(': ') .slice(0, maxMessageLength)",
    replace: ".join(': ')",
    tests: [bounds],
  },
  {
    name: 'the client tells a code of any length',
    find: 'error.code.slice(0, maxMessageLength)',
    replace: 'error.code',
    tests: [bounds],
  },
  {
    name: 'the client follows redirects for ever',
    find: 'for (let i = 0; i <= maxRedirects; i++) {',
    replace: 'for (;;) {',
    tests: [plainHttp],
  },
  {
    name: 'the client holds a manifest of any length',
    find: 'if (size > maxManifestBytes) { throw new ClientError(',
    replace: 'if (false) { throw new ClientError(',
    tests: [bounds],
  },
  {
    name: 'the client holds a token of any length',
    find: 'jsonOf(answer, maxTokenBytes)',
    replace: 'jsonOf(answer)',
    tests: [bounds],
  },
  {
    name: 'the client asks for lists without an end',
    find: 'if (count > maxNames || seen.size > maxPages) {',
    replace: 'if (false) {',
    tests: [plainHttp],
  },
  {
    name: 'a CID may have a hash that is found by trying',
    find: 'return bytes >= minDigestBytes && bytes <= maxDigestBytes',
    replace: 'return bytes <= maxDigestBytes',
    tests: [cids],
  },
  {
    name: 'a CID may be as long as content',
    find: 'return bytes >= minDigestBytes && bytes <= maxDigestBytes',
    replace: 'return bytes >= minDigestBytes',
    tests: [cids],
  },
  {
    name: 'a CID of any length is decoded',
    find: 'if (text.length < minLength || text.length > maxLength) {',
    replace: 'if (text.length < minLength) {',
    tests: [cids],
  },
  {
    name: 'a key of any length is decoded',
    find: 'if (cid?.code === libp2pKey || text.length > maxLength) {',
    replace: 'if (cid?.code === libp2pKey) {',
    tests: [cids],
  },
  {
    name: 'a large body needs no Host header',
    find: 'host !== undefined &&',
    replace: '',
    tests: [directBodies],
  },
  {
    name: 'blobs in one POST take no slot of their client',
    find: 'const id = await uploads.create(name, algorithm, { client: req.socket.remoteAddress, owner })',
    replace: 'const id = await uploads.create(name, algorithm, { owner })',
    tests: [limits],
  },
  {
    name: 'HEAD finds a manifest whose block is lost',
    find: "options.whole = req.method === 'HEAD' const manifest = await",
    replace: 'options.whole = false; const manifest = await',
    tests: [manifests],
  },
  {
    name: 'a repository has a blob whose block is lost',
    find: 'if (whole && (await unreadable.has(cid))) {',
    replace: 'if (false) {',
    tests: [repair],
  },
  {
    name: 'a repository has a manifest whose block is lost',
    find: 'if (whole && (await unreadable.has(record.cid))) {',
    replace: 'if (false) {',
    tests: [manifests],
  },
  {
    name: 'the last of several realms counts',
    find: 'params[word!.toLowerCase()] ??= value',
    replace: 'params[word!.toLowerCase()] = value',
    tests: [challenges],
  },
  {
    name: 'a refresh token is sent as if it were a password',
    find: '|| credentials === undefined || credentials.identityToken !== undefined) {',
    replace: '|| credentials === undefined) {',
    tests: [registryClient],
  },
  {
    name: 'a revoked peer is trusted',
    find: '!trust.revoked.has(peer) &&',
    replace: '',
    tests: [peerTrust],
  },
  {
    name: 'a revoked certificate counts',
    find: '!trust.revoked.has(certificate.id) &&',
    replace: '',
    tests: [peerTrust],
  },
  {
    name: 'a key that is trusted no more still counts',
    find: 'trust.keys.has(certificate.publicKey) &&',
    replace: '',
    tests: [peerTrust],
  },
  {
    name: 'a certificate of any type counts',
    find: 'typ: type, audience, subject: peer,',
    replace: 'audience, subject: peer,',
    tests: [peerTrust],
  },
  {
    name: 'a peer is heard without end',
    find: 'if (count > maxMessages) {',
    replace: 'if (false) {',
    tests: [peerCertificates],
  },
  {
    name: 'a page is told on by an admin token that was withdrawn',
    find: 'if (!(await tokenStillCounts(res))) {',
    replace: 'if (false) {',
    tests: [pageAdministrators],
  },
  {
    name: 'the pages of the admin port are for everybody',
    find: "router.use('/ui/api', administratorsOnly(access, { token }), asTrusted)",
    replace: "router.use('/ui/api', asTrusted)",
    tests: [pageAdministrators],
  },
  {
    name: 'strangers are told of the admin port of a registry with rules',
    find: 'callerOf(res).identity === undefined || isAdministrator(res) ? adminAddress?.() : undefined',
    replace: 'adminAddress?.()',
    tests: [pageAdministrators],
  },
  {
    name: 'an archive has as much before an entry as it wants',
    find: 'if (size > maxExtension) {',
    replace: 'if (false) {',
    tests: ['unit/registry/overview/files/tar-entries.test.ts'],
  },
  {
    name: 'a layer unpacks to as much as it wants',
    find: 'bounds.takeUnpacked(chunk.byteLength)',
    replace: '',
    tests: ['unit/registry/overview/files/unpacked-layer.test.ts'],
  },
  {
    name: 'a descriptor says how large a layer is',
    find: 'bounds.takeStored(blob.size)',
    replace: 'bounds.takeStored(layer.size)',
    tests: ['unit/registry/overview/files/image-files.test.ts'],
  },
]
