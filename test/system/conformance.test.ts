import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { initAccess } from '../fixtures/access.ts'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { tryRun } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool } from '../fixtures/tools.ts'

const minute = 60_000

/** What version 1.1 leaves out */
const everyOption = {
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
  OCI_DATA_SPARSE: 'true',
}

for (const { version, env, args, disabled, http, logIn = false } of [
  // cancelling an upload, once for each digest algorithm: this version does not ask for it
  { version: '1.1', env: {}, args: [], disabled: 2, http: '1.1' },
  { version: 'dev', env: everyOption, args: ['--missing-blobs', 'accept'], disabled: 0, http: '1.1' },
  { version: 'dev', env: everyOption, args: ['--missing-blobs', 'accept'], disabled: 0, http: '2.0' },
  { version: 'dev', env: everyOption, args: ['--missing-blobs', 'accept'], disabled: 0, http: '1.1', logIn: true },
]) {
  test(`passes the OCI conformance suite, version ${version}, over HTTP/${http}${logIn ? ' with a log-in' : ''}`, {
    timeout: 10 * minute,
  }, async t => {
    await using directory = await temporaryDirectory('conformance')
    const authority = http === '2.0' ? await CertificateAuthority.create(directory.path) : undefined
    const dataDir = join(directory.path, 'data')
    const password = logIn ? await initAccess('private', dataDir) : undefined
    await using server = await ServerProcess.start({
      args,
      dataDir,
      ...(authority && { tls: await authority.issue('server') }),
    })

    const { stdout, stderr } = await tryRun(builtTool('conformance'), [], {
      cwd: directory.path,
      env: {
        OCI_REGISTRY: server.host,
        OCI_TLS: authority === undefined ? 'disabled' : 'enabled',
        ...(authority && { SSL_CERT_FILE: authority.cert }),
        OCI_REPO1: 'conformance/repo1',
        OCI_REPO2: 'conformance/repo2',
        ...(password !== undefined && { OCI_USERNAME: 'admin', OCI_PASSWORD: password }),
        OCI_LOG: 'error',
        OCI_RESULTS_DIR: directory.path,
        OCI_VERSION: version,
        ...env,
      },
      timeout: 8 * minute,
    })

    const results = await readFile(join(directory.path, 'junit.xml'), 'utf8').catch(() => {
      throw new Error(`the suite wrote no results:\n${stdout}${stderr}`)
    })
    const totals = attributes(/<testsuites\b[^>]*>/.exec(results)?.[0])
    const { tests = 0, failures = 0, errors = 0, skipped = 0 } = totals
    t.diagnostic(`version ${version}: ${tests} tests`)
    assert.equal(failures + errors, 0, `failed:\n${unsuccessful(results).join('\n')}`)
    assert.equal(skipped, 0, 'skipped')
    assert.equal(totals.disabled ?? 0, disabled, 'disabled')
    assert.ok(tests > 800, `only ${tests} tests`)
    const versions = [...server.log.matchAll(/ request .* http=(\S+)/g)].map(([, version]) => version)
    assert.ok(versions.length > tests && versions.every(version => version === http), 'the version of HTTP')
  })
}

function attributes(element = ''): Record<string, number> {
  return Object.fromEntries([...element.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name!, Number(value)]))
}

function unsuccessful(results: string): string[] {
  return [...results.matchAll(/<testcase name="([^"]*)"[^>]* status="(\w+)"/g)]
    .filter(([, , status]) => status !== 'passed' && status !== 'skipped')
    .map(([, name]) => name!)
}
