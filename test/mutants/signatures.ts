import type { Mutant } from './mutant.ts'

const envelopes = 'unit/registry/signatures/notation/notation-signature.test.ts'
const policy = 'unit/registry/signatures/notation/notation-policy.test.ts'

/** What keeps signatures from counting that nobody whom the configuration trusts has made */
export const signatures: Mutant[] = [
  {
    name: 'a chain counts with its first certificate alone',
    find: 'if (!chain[i - 1]!.isIssuedBy(chain[i]!)) {',
    replace: 'if (false) {',
    tests: [envelopes],
  },
  {
    name: 'a certificate may be signed with SHA-1',
    find: "goodSignatures.test(this.x509.signatureAlgorithm ?? '') &&",
    replace: '',
    tests: [envelopes],
  },
  {
    name: 'a certificate for anything signs code',
    find: 'purposes?.some(purpose => otherPurposes.has(purpose)) !== true',
    replace: 'true',
    tests: [envelopes],
  },
  {
    name: 'whoever has a certificate certifies others',
    find: 'return isAuthority && isDeepEnough &&',
    replace: 'return isDeepEnough &&',
    tests: [envelopes],
  },
  {
    name: 'an unknown critical header is passed over',
    find: 'if (!critical.every(name => known.has(name) && headers.includes(name))) {',
    replace: 'if (false) {',
    tests: [envelopes],
  },
  {
    name: 'the signature of an envelope is not verified',
    find: '|| !(await envelope.isSignedBy(chain.key, chain.algorithm))',
    replace: '',
    tests: [envelopes],
  },
  {
    name: 'a signature of another image counts',
    find: "artifact['digest'] === digest && artifact['size']",
    replace: "artifact['size']",
    tests: [envelopes],
  },
  {
    name: 'an expired signature counts while it is remembered',
    find: 'return Date.now() <= until',
    replace: 'return until > 0',
    tests: [policy],
  },
]
