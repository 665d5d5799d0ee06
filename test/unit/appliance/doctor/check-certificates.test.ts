import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { checkCertificates } from '../../../../src/appliance/doctor/check-certificates.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import type { Config } from '../../../../src/config/schema.ts'
import { CertificateAuthority } from '../../../fixtures/certificates.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

const day = 24 * 60 * 60 * 1000

async function outcomes(config: Config, days: number): Promise<string[]> {
  const findings = await checkCertificates(config, recordingLog(), Date.now() + days * day)
  return findings.map(({ check, found, outcome }) => `${check} ${outcome}: ${found.replace(/^\S+ (\(.*?\) )?/, '')}`)
}

describe('the check of certificates', () => {
  it('says how long each is valid: those of the fixtures are for two days', async () => {
    await using directory = await temporaryDirectory()
    const authority = await CertificateAuthority.create(directory.path)
    const { cert, key } = await authority.issue('server')
    const config = parseConfig({ tls: { certPath: cert, keyPath: key, clientCa: authority.cert } })
    const soon = await outcomes(config, 0)
    assert.match(soon[0]!, /^certificate warning: expires on \d{4}-\d\d-\d\d, in 1 days$/)
    assert.match(soon[1]!, /^client authorities warning: expires on /)
    const expired = await outcomes(config, 3)
    assert.match(expired[0]!, /^certificate wrong: expired on /)
    assert.match(expired[1]!, /^client authorities wrong: expired on /)
    assert.match((await outcomes(config, -1))[0]!, /^certificate wrong: is not valid before /)
  })

  it('tells of a key of another certificate, and of a file that is not there', async () => {
    await using directory = await temporaryDirectory()
    const authority = await CertificateAuthority.create(directory.path)
    const [one, other] = [await authority.issue('one'), await authority.issue('other')]
    const config = parseConfig({ tls: { certPath: one.cert, keyPath: other.key } })
    assert.match((await outcomes(config, 0))[0]!, /^certificate wrong: is not the private key of/)
    await rm(one.cert)
    assert.deepEqual(await outcomes(config, 0), ["certificate wrong: can't be read: ENOENT"])
  })

  it('has nothing to say of plain HTTP', async () => {
    assert.equal((await checkCertificates(parseConfig({}), recordingLog()))[0]!.outcome, 'ok')
  })
})
