import type { Mutant } from './mutant.ts'

const logIn = 'http/log-in.test.ts'
const refusals = 'http/log-in-refusals.test.ts'
const sessions = 'http/sessions.test.ts'

/** What keeps a log-in by a browser from being anybody else's */
export const logIns: Mutant[] = [
  {
    name: 'any browser ends the log-in that another one has begun',
    find: 'ticket === undefined || ticket.state !== state || others.length > 0',
    replace: 'ticket === undefined',
    tests: [refusals],
  },
  {
    name: 'a state that is there twice counts',
    find: 'ticket.state !== state || others.length > 0',
    replace: 'ticket.state !== state',
    tests: [refusals],
  },
  {
    name: 'the provider is asked without PKCE',
    find: "code_challenge_method: 'S256',",
    replace: '',
    tests: [logIn],
  },
  {
    name: 'an ID token for another log-in counts',
    find: 'expectedNonce: ticket.nonce,',
    replace: '',
    tests: [refusals],
  },
  {
    name: 'whoever signed it, an ID token counts',
    find: 'const claims = await foreign.claims(state, issuer, idToken, [issuer.login.clientId])',
    replace:
      "const claims = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>",
    tests: [refusals],
  },
  {
    name: 'claims of the userinfo endpoint count for more than those that are signed',
    find: '{ ...more, ...claims }',
    replace: '{ ...claims, ...more }',
    tests: [refusals],
  },
  {
    name: 'a log-in leads to another site',
    find: "|| path.startsWith('//') ||",
    replace: '||',
    tests: [refusals],
  },
  {
    name: 'a log-in leads to whatever is asked for',
    find: "url?.origin !== 'http://localhost' ||",
    replace: '',
    tests: [refusals],
  },
  {
    name: 'failed log-ins may be tried as often as anybody likes',
    find: "failures.add(ticket.state, address ?? '')",
    replace: '',
    tests: [refusals],
  },
  {
    name: 'answers of a provider may have any size',
    find: 'const bytes = await readBounded(response, url)',
    replace: 'const bytes = Buffer.from(await response.arrayBuffer())',
    tests: [refusals],
  },
  {
    name: 'the log has the code of a log-in',
    find: 'req.originalUrl.startsWith(callbackPath) ? callbackPath : req.originalUrl',
    replace: 'req.originalUrl',
    tests: [logIn],
  },
  {
    name: 'a session outlives a change of its issuer',
    find: 'const identity = shown && holderOf(state, shown, credentials)',
    replace: 'const identity = shown && identityOf(state, shown.subject, shown)',
    tests: [sessions],
  },
  {
    name: 'other tokens of ours are sessions',
    find: "return kind === 'access' ? service :",
    replace: 'return true ? service :',
    tests: [sessions],
  },
  {
    name: 'a session counts for writes that no page of ours is known to send',
    find: ': isFromOwnPage(req)',
    replace: ': !isFromOtherSite(req)',
    tests: [sessions],
  },
  {
    name: 'a session counts for what pages of other sites read',
    find: "? !isFromOtherSite(req) || req.get('Sec-Fetch-Mode') === 'navigate'",
    replace: '? true',
    tests: [sessions],
  },
  {
    name: 'one of several cookies of a name counts',
    find: 'values.length === 1 ?',
    replace: 'values.length > 0 ?',
    tests: [sessions],
  },
  {
    name: 'a cookie that was set without TLS counts over TLS',
    find: "secure ? '__Host-' : ''",
    replace: "''",
    tests: [sessions],
  },
  {
    name: 'scripts read the session',
    find: 'httpOnly: true',
    replace: 'httpOnly: false',
    tests: [sessions],
  },
  {
    name: 'a session counts for more than what stands in Authorization',
    find: "if (authorization === undefined || authorization.trim() === '') {",
    replace: "if (credentials.session !== undefined || authorization === undefined || authorization.trim() === '') {",
    tests: [sessions],
  },
  {
    name: 'a session gets tokens, which outlive it',
    find: 'await access.token(request, credentialsOf(req, access))',
    replace:
      "await access.token(request, { ...credentialsOf(req, access), session: /ipdr-session=(.*)/.exec(req.get('Cookie') ?? '')?.[1] })",
    tests: [sessions],
  },
]
