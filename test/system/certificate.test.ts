import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { copyFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Certificate } from '../../src/http/certificate.ts'
import { CertificateAuthority, type CertificatePaths } from '../fixtures/certificates.ts'
import { recordingLog } from '../fixtures/recording-log.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

describe('the files of a certificate', { timeout: 600_000 }, () => {
  const log = recordingLog()
  let directory: TemporaryDirectory
  let first: CertificatePaths
  let second: CertificatePaths
  let certificate: Certificate | undefined
  let applied: string[]

  beforeEach(async () => {
    directory = await temporaryDirectory('certificate')
    const authority = await CertificateAuthority.create(directory.path)
    first = await authority.issue('first')
    second = await authority.issue('second')
    log.lines.length = 0
    applied = []
  })

  afterEach(async () => {
    await certificate?.stop()
    await directory[Symbol.asyncDispose]()
  })

  /** Looks at the files every 20 ms, if not told otherwise */
  async function watch({ cert, key }: CertificatePaths, interval = 20): Promise<Certificate> {
    certificate = await Certificate.open({ log }, { certPath: cert, keyPath: key, interval })
    certificate.start(pair => {
      applied.push(new X509Certificate(pair.cert).subject)
    })
    return certificate
  }

  function path(...names: string[]): string {
    return join(directory.path, ...names)
  }

  function warnings(): string[] {
    return log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => String(fields['reason']))
  }

  async function replaced(): Promise<void> {
    await until('the certificate is replaced', () => applied.length > 0)
    assert.deepEqual(applied, ['CN=second'])
    assert.ok(
      log.lines.some(({ message, fields }) => message === 'certificate replaced' && fields['subject'] === 'CN=second'),
    )
  }

  it('are read again where one after the other is renamed over', async () => {
    await watch(first)
    await rename(second.cert, first.cert)
    await until('the pair that does not match is noticed', () => warnings().length > 0)
    assert.deepEqual(applied, [])
    await rename(second.key, first.key)
    await replaced()
    assert.deepEqual(warnings(), [`${first.key} is not the private key of ${first.cert}`])
  })

  it('are read again with the authorities of clients', async () => {
    const clientCaPath = path('clients.crt')
    await copyFile(first.cert, clientCaPath)
    certificate = await Certificate.open(
      { log },
      { certPath: first.cert, keyPath: first.key, clientCaPath, interval: 20 },
    )
    const authorities: (string | undefined)[] = []
    certificate.start(({ clientCa }) => {
      authorities.push(clientCa)
    })
    await writeFile(clientCaPath, 'nonsense')
    await until('the nonsense is noticed', () => warnings().length > 0)
    assert.deepEqual(warnings(), [`${clientCaPath} is not a certificate in PEM`])
    await copyFile(second.cert, clientCaPath)
    await until('the authority is replaced', () => authorities.length > 0)
    assert.deepEqual(authorities, [await readFile(second.cert, 'utf8')])
  })

  it('are read again where a link above them is swapped, as Kubernetes does', async () => {
    for (const [name, { cert, key }] of Object.entries({ '..1': first, '..2': second })) {
      await mkdir(path(name))
      await copyFile(cert, path(name, 'tls.crt'))
      await copyFile(key, path(name, 'tls.key'))
    }
    await symlink('..1', path('..data'))
    const links = { cert: path('tls.crt'), key: path('tls.key') }
    await symlink('..data/tls.crt', links.cert)
    await symlink('..data/tls.key', links.key)
    await watch(links)
    await symlink('..2', path('..tmp'))
    await rename(path('..tmp'), path('..data'))
    await replaced()
  })

  it('are read again where the links to them are, as certbot does', async () => {
    const links = { cert: path('live.crt'), key: path('live.key') }
    await symlink(first.cert, links.cert)
    await symlink(first.key, links.key)
    await watch(links)
    for (const [link, target] of [
      [links.cert, second.cert],
      [links.key, second.key],
    ] as const) {
      await symlink(target, `${link}.new`)
      await rename(`${link}.new`, link)
    }
    await replaced()
  })

  it('keep the certificate that is there while they are missing or half written, with one warning', async () => {
    const current = await watch(first)
    const before = current.current
    const text = await readFile(second.cert, 'utf8')
    await rm(first.cert)
    await until('it is noticed', () => warnings().length > 0)
    await writeFile(first.cert, text.slice(0, 300))
    await current.stop()
    assert.equal(current.current, before)
    assert.deepEqual(warnings(), [`${first.cert} can't be read: ENOENT`])
    current.start(pair => {
      applied.push(new X509Certificate(pair.cert).subject)
    })
    await writeFile(first.cert, text)
    await copyFile(second.key, first.key)
    await replaced()
  })

  it('are looked at when somebody asks, with a warning each time that they are wrong', async () => {
    const current = await watch(first, 3_600_000)
    await current.reload()
    assert.deepEqual([applied, warnings()], [[], []])
    await copyFile(second.cert, first.cert)
    await current.reload()
    await current.reload()
    assert.equal(warnings().length, 2)
    await copyFile(second.key, first.key)
    await current.reload()
    await replaced()
  })

  it('are not looked at any more after the stop', async () => {
    const current = await watch(first)
    await current.stop()
    await current.stop()
    await copyFile(second.cert, first.cert)
    await copyFile(second.key, first.key)
    // another one that watches the same files tells that the time is over
    const other = await Certificate.open({ log }, { certPath: second.cert, keyPath: second.key, interval: 20 })
    const { promise, resolve } = Promise.withResolvers<void>()
    other.start(() => {
      resolve()
    })
    await (await CertificateAuthority.create(directory.path)).issue('second')
    await promise
    await other.stop()
    assert.deepEqual(applied, [])
  })
})
