import type { Mutant } from './mutant.ts'

const apiKeys = 'http/api-keys.test.ts'
const certificates = 'http/client-certificates.test.ts'
const foreignTokens = 'http/foreign-tokens.test.ts'
const issuerKeys = 'unit/access/issuers/issuer-keys.test.ts'
const table = 'http/access-table.test.ts'

/** What keeps keys, tokens of issuers and client certificates from doing more than they are for */
export const identities: Mutant[] = [
  {
    name: 'a key does what rules allow, beside its scopes',
    find: "return identity.kind !== 'key' || decision.rule?.effect === 'deny'",
    replace: 'return decision.rule !== undefined',
    tests: [apiKeys],
  },
  {
    name: 'a rule that denies does not concern keys',
    find: "|| decision.rule?.effect === 'deny'",
    replace: '',
    tests: [apiKeys],
  },
  {
    name: 'a key logs in with the name of another',
    find: 'key?.name !== user',
    replace: 'key === undefined',
    tests: [apiKeys],
  },
  {
    name: 'a key that has expired is valid',
    find: 'return isRight && !isExpired(key) ? key : undefined',
    replace: 'return isRight ? key : undefined',
    tests: [apiKeys],
  },
  {
    name: 'the tokens of a key outlive it',
    find: 'key === undefined || isExpired(key) ? undefined : key.hash',
    replace: 'key === undefined ? undefined : key.hash',
    tests: [apiKeys],
  },
  {
    name: 'a token for another audience is a log-in',
    find: 'audience: [...audience],',
    replace: '',
    tests: [foreignTokens],
  },
  {
    name: 'a token without an end is a log-in',
    find: "requiredClaims: ['exp'],",
    replace: '',
    tests: [foreignTokens],
  },
  {
    name: 'a token without the claims that are required is a log-in',
    find: 'if (lacking !== undefined) {',
    replace: 'if (false) {',
    tests: [foreignTokens],
  },
  {
    name: 'a token is remembered whatever is read again',
    find: 'state === this.#state ? this.#tokens.get',
    replace: 'this.#state !== undefined ? this.#tokens.get',
    tests: ['unit/access/log-in/remembered-tokens.test.ts'],
  },
  {
    name: 'a token is remembered for longer than the key that it was issued to',
    find: 'Math.min(token.expires, keyExpiry(state, identity))',
    replace: 'token.expires',
    tests: ['http/api-keys.test.ts'],
  },
  {
    name: 'users of an issuer are authenticated',
    find: "subjects.push(issuer === undefined ? 'authenticated' :",
    replace: "subjects.push('authenticated', issuer === undefined ? 'authenticated' :",
    tests: [foreignTokens],
  },
  {
    name: 'tokens outlive a change of the issuer in the file',
    find: 'return JSON.stringify(issuer)',
    replace: 'return issuer.name',
    tests: [foreignTokens],
  },
  {
    name: 'a refresh token outlives the token of a workload',
    find: '&& identity.issuer === undefined',
    replace: '',
    tests: [foreignTokens],
  },
  {
    name: 'a token says itself that it is in a group of the file',
    find: '&& !Object.hasOwn(groups, value)',
    replace: '',
    tests: [foreignTokens],
  },
  {
    name: 'each token with an unknown key makes the server ask the issuer',
    find: "ERR_JWKS_NO_MATCHING_KEY' || !this.#mayTry",
    replace: "ERR_JWKS_NO_MATCHING_KEY'",
    tests: [issuerKeys],
  },
  {
    name: 'the keys of an issuer come from where it redirects to',
    find: "redirect: 'error', headers: { accept:",
    replace: "redirect: 'follow', headers: { accept:",
    tests: [issuerKeys],
  },
  {
    name: 'the keys of an issuer may have any size',
    find: 'if (bytes > maxBytes) {',
    replace: 'if (false) {',
    tests: [issuerKeys],
  },
  {
    name: 'tokens wait for keys that are read again',
    find: 'this.#read().catch(() => {})',
    replace: 'await this.#read().catch(() => {})',
    tests: [issuerKeys],
  },
  {
    name: 'a token that was issued for a certificate is worth something without it',
    find: 'return certificate !== undefined && subject ===',
    replace: "return certificate !== '' || subject ===",
    tests: [certificates],
  },
  {
    name: 'connections keep the certificate of an authority that is gone',
    find: 'this.#connections.clear()',
    replace: '',
    tests: [certificates],
  },
  {
    name: 'a certificate of any authority is a log-in',
    find: 'socket.authorized ? (',
    replace: 'true ? (',
    tests: [certificates],
  },
  {
    name: 'whoever logs in administers',
    find: "caller.requireEverywhere('admin', 'this appliance')",
    replace: '',
    tests: [table],
  },
]
