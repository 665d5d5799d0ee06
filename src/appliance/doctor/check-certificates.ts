import { X509Certificate } from 'node:crypto'
import type { Config } from '../../config/schema.ts'
import { Certificate, CertificateError, type TlsCertificate } from '../../http/certificate.ts'
import type { Logger } from '../../log.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

const day = 24 * 60 * 60 * 1000
/** Certificates that live 90 days are renewed when a third of that is left */
const soon = 30 * day
const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Looks at certificate, key and authorities as a start does, and at how long they are valid */
export async function checkCertificates(
  { tls: { certPath, clientCa, keyPath } }: Config,
  log: Logger,
  now = Date.now(),
): Promise<Finding[]> {
  const check = 'certificate'
  if (certPath === undefined || keyPath === undefined) {
    return [ok(check, 'none is configured: the registry speaks plain HTTP')]
  }
  let read: TlsCertificate
  try {
    read = (await Certificate.open({ log }, { certPath, keyPath, clientCaPath: clientCa })).current
  } catch (err) {
    if (err instanceof CertificateError) {
      return [
        wrong(check, err.message, 'Correct tls.certPath, tls.keyPath or tls.clientCa: the server does not start.'),
      ]
    }
    throw err
  }
  return [
    ...validity(check, { path: certPath, text: read.cert }, now),
    ...(clientCa === undefined || read.clientCa === undefined
      ? []
      : validity('client authorities', { path: clientCa, text: read.clientCa }, now)),
  ]
}

function validity(check: string, { path, text }: { path: string; text: string }, now: number): Finding[] {
  const certificates = (text.match(pem) ?? []).map(each => new X509Certificate(each))
  const findings = certificates.flatMap(certificate => expiry(check, path, certificate, now))
  const first = Math.min(...certificates.map(({ validToDate }) => validToDate.getTime()))
  return findings.length > 0 ? findings : [ok(check, `${path} is valid until ${dayOf(first)}`)]
}

function expiry(
  check: string,
  path: string,
  { subject, validFromDate, validToDate }: X509Certificate,
  now: number,
): Finding[] {
  const what = `${path} (${subject?.replaceAll('\n', ', ') ?? 'no subject'})`
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()]
  const renew = `Renew it; the server reads ${path} again by itself.`
  if (to <= now) {
    return [wrong(check, `${what} expired on ${dayOf(to)}`, renew)]
  }
  if (from > now) {
    return [
      wrong(check, `${what} is not valid before ${dayOf(from)}`, 'Look at the clock of this machine, or renew it.'),
    ]
  }
  const days = Math.floor((to - now) / day)
  return to - now < soon ? [warning(check, `${what} expires on ${dayOf(to)}, in ${days} days`, renew)] : []
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
