import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import packageJson from '../../../../package.json' with { type: 'json' }
import { checkPackages } from '../../../../src/appliance/checks/check-packages.ts'
import { installedVersion, patchedPackages, type PatchedName } from '../../../../src/ipfs/node/patches/patches.ts'
import { importOf, type PackageChange } from '../../../fixtures/changed-package.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

const root = join(import.meta.dirname, '../../../..')
const names = Object.keys(patchedPackages) as PatchedName[]
/** Each process has to end by itself within this; milliseconds */
const limit = 60_000
const execute = promisify(execFile)

describe('packages that are changed', () => {
  const pins: Record<string, string> = { ...packageJson.dependencies, ...packageJson.overrides }

  for (const name of names) {
    it(`${name} is pinned and installed in the version that its patch is for`, () => {
      const { version } = patchedPackages[name]
      assert.deepEqual([pins[name], installedVersion(name)], [version, version])
    })

    it(`${name} in another version ${patchedPackages[name].isNeeded ? 'ends the start' : 'is left as it comes'}`, () => {
      const log = recordingLog()
      const { version, isNeeded } = patchedPackages[name]
      const check = () =>
        checkPackages({ log }, { versionOf: other => (other === name ? '99.0.0' : patchedPackages[other].version) })
      if (isNeeded) {
        assert.throws(check, {
          name: 'PackageError',
          message: `packages have unexpected versions: ${name} 99.0.0 instead of ${version}; install those of package-lock.json by npm ci`,
        })
        return
      }
      const patches = check()
      assert.equal(patches.applies(name), false)
      assert.deepEqual(
        log.lines.map(({ level, fields }) => [level, fields]),
        [['warn', { package: name, difference: `version 99.0.0 instead of ${version}` }]],
      )
    })
  }

  it('that are not as expected are named together', () => {
    assert.throws(() => checkPackages({ log: recordingLog() }, { versionOf: () => '0.0.1' }), {
      message: /helia 0\.0\.1 instead of .*, @helia\/bitswap 0\.0\.1 .*, libp2p .*, @libp2p\/pnet .*, xsalsa20 /,
    })
  })

  it('go with a Node whose sockets may be told where to read into; another one is a warning', t => {
    const log = recordingLog()
    t.mock.method(Object, 'getOwnPropertySymbols', () => [])
    checkPackages({ log })
    assert.deepEqual(
      log.lines.map(({ level, fields }) => [level, fields]),
      [['warn', { version: process.version, missing: ['kBuffer', 'kBufferCb', 'kBufferGen'] }]],
    )
  })

  it('are as expected here', () => {
    const log = recordingLog()
    const patches = checkPackages({ log })
    assert.ok(names.every(name => patches.applies(name)))
    assert.deepEqual(log.lines, [])
  })
})

interface OtherShape {
  name: PatchedName
  /** What the patch uses, under another name throughout the package, so that all but the patch works */
  code: [pattern: string, to: string]
  difference: string
}

const shapes: OtherShape[] = [
  { name: 'helia', code: ['blockBrokers', 'brokers'], difference: 'blockBrokers.find is no function' },
  { name: '@helia/bitswap', code: ['_onStream', 'onStream'], difference: 'bitswap.network._onStream is no function' },
  { name: '@helia/bitswap', code: ['sendBlocksToPeer', 'send'], difference: 'sendBlocksToPeer is no function' },
  { name: 'libp2p', code: ['async dialProtocol', 'async dialBy'], difference: 'dialProtocol is no function' },
  { name: '@libp2p/pnet', code: ['inboundXor', 'incoming'], difference: 'inboundXor is no object' },
  { name: 'xsalsa20', code: ['^XSalsa20.prototype.update', 'XSalsa20.xor'], difference: 'update is no function' },
  {
    name: '@chainsafe/libp2p-noise',
    code: ['this\\.handshake', 'this.keys'],
    difference: 'handshake.decrypt is no function',
  },
  {
    name: '@chainsafe/libp2p-yamux',
    code: ['recvWindowCapacity', 'capacity'],
    difference: 'recvWindowCapacity is no number',
  },
  { name: '@libp2p/tcp', code: ['this\\.socket\\b', 'this.stream'], difference: 'socket.cork is no function' },
  { name: '@libp2p/peer-store', code: ['async delete', 'async remove'], difference: 'delete is no function' },
]
const entry: PackageChange = { name: '@helia/libp2p', code: ['libp2p-defaults.js', 'libp2p-defaults.js?'] }

/** Two nodes with changed packages, one of which gets a block from the other */
async function runNodes(
  changes: readonly PackageChange[],
): Promise<{ equal?: boolean; message?: string; started?: boolean; warnings: Array<Record<string, unknown>> }> {
  const script = join(root, 'test/fixtures/patched-nodes.ts')
  const { stdout } = await execute(process.execPath, ['--import', importOf(changes), script], { timeout: limit })
  return JSON.parse(stdout) as Awaited<ReturnType<typeof runNodes>>
}

describe('a package of another shape', { concurrency: 2 }, () => {
  for (const { name, code, difference } of shapes.filter(({ name }) => patchedPackages[name].isNeeded)) {
    it(`such as ${name}, where ${difference}, ends the start`, async () => {
      const { message, started } = await runNodes([{ name, code }])
      assert.equal(started, false)
      assert.equal(message, `package ${name} ${patchedPackages[name].version} is not as expected: ${difference}`)
    })
  }

  it('is left as it comes where the server can do without its patch, and blocks arrive all the same', async () => {
    const others = shapes.filter(({ name }) => !patchedPackages[name].isNeeded)
    const { equal, warnings } = await runNodes([...others, entry])
    assert.equal(equal, true)
    const found = warnings.flatMap(({ package: name, difference }) => (name === undefined ? [] : { name, difference }))
    const expected = others.map(({ name, difference }) => ({ name, difference }))
    const byName = (one: { name: unknown }, other: { name: unknown }) =>
      String(one.name).localeCompare(String(other.name))
    assert.deepEqual(found.sort(byName), expected.sort(byName))
    // these nodes load less than a server does, so there is more that was not left out
    const parts = warnings.flatMap(({ parts }) => parts ?? [])
    assert.ok(parts.includes('libp2pDefaults of @helia/libp2p'), parts.join())
  })
})

describe('a server', () => {
  for (const [change, line] of [
    [
      { name: '@helia/bitswap', version: '4.0.20' },
      'packages have unexpected versions: @helia/bitswap 4.0.20 instead of 4.0.19; install those of package-lock.json by npm ci',
    ],
    [
      { name: '@helia/bitswap', code: ['_onStream', 'onStream'] },
      'package @helia/bitswap 4.0.19 is not as expected: bitswap.network._onStream is no function',
    ],
  ] as Array<[PackageChange, string]>) {
    it(`whose bitswap has another ${change.version === undefined ? 'shape' : 'version'} ends with one line`, async () => {
      await using directory = await temporaryDirectory('packages')
      const args = ['server', '--port', '0', '--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0']
      const run = execute(process.execPath, ['--import', importOf([change]), join(root, 'src/main.js'), ...args], {
        timeout: limit,
        killSignal: 'SIGKILL',
        env: {
          ...process.env,
          IPDR_DATA_DIR: join(directory.path, 'data'),
          IPDR_HOST: '127.0.0.1',
          IPDR_LOG_LEVEL: 'error',
        },
      })
      await assert.rejects(run, { code: 1, stderr: `ipdr: ${line}\n` })
    })
  }
})
