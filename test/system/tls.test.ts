import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { run, tryRun } from '../fixtures/run.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { projectDirectory } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const main = join(projectDirectory, 'src/main.ts')

describe('TLS', { timeout: 60_000 }, () => {
  it('is spoken with a certificate and its key, as by the flags of the original IPDR', async () => {
    await using directory = await temporaryDirectory('tls')
    const { cert, key } = await certificate(directory.path)
    const server = spawn(process.execPath, [
      main, 'server', '--host', '127.0.0.1', '--port', '0', '--data-dir', join(directory.path, 'data'), '--network', 'offline', '--tlsCertPath', cert, `--tlsKeyPath=${key}`
    ], { stdio: ['ignore', 'pipe', 'ignore'] })
    const closed = once(server, 'close')
    try {
      let output = ''
      server.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
      const port = await until('the server is ready', () => /registry {2}https:\/\/\S+:(\d+) /.exec(output)?.[1], 30_000)
      const call = request(`https://localhost:${port}/v2/`, { ca: await readFile(cert), agent: false })
      call.end()
      const [response] = await once(call, 'response')
      response.resume()
      assert.equal(response.statusCode, 200)
      const old = await tryRun('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_1'])
      assert.notEqual(old.code, 0)
    } finally {
      server.kill('SIGTERM')
      await closed
    }
  })

  for (const [what, files, message] of [
    ['a key of another certificate', { key: 'other' }, /are no certificate and its private key in PEM/],
    ['a file that is not there', { cert: 'missing' }, /missing\.crt can't be read: ENOENT/]
  ] as const) {
    it(`is refused with ${what}, in one line`, async () => {
      await using directory = await temporaryDirectory('tls')
      const { cert, key } = await certificate(directory.path)
      const other = await certificate(directory.path, 'other')
      const { code, stderr } = await tryRun(process.execPath, [
        main, 'server', '--port', '0', '--data-dir', join(directory.path, 'data'), '--network', 'offline', '--log-level', 'error',
        '--tls-cert-path', 'cert' in files ? join(directory.path, `${files.cert}.crt`) : cert, '--tls-key-path', 'key' in files ? other.key : key
      ])
      assert.equal(code, 1)
      assert.match(stderr, message)
      assert.equal(stderr.trim().split('\n').length, 1)
    })
  }
})

async function certificate (directory: string, name = 'server'): Promise<{ cert: string, key: string }> {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  await run('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert
  ])
  return { cert, key }
}
