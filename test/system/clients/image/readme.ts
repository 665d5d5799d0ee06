/**
 * The commands in README.md and in the pages that build the image of the server, as they stand and in their order, in
 * a copy of this checkout. What they print has to be what the page shows; see `patternOf`. Needs the ports of the
 * pages: 5000 to 5002 and 4001.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite } from 'node:test'
import { writeBusyboxContext } from '../../../fixtures/busybox.ts'
import { testPage } from '../../../fixtures/documents/run-page.ts'
import { imagePages, scenes } from '../../../fixtures/documents/scenes.ts'
import { imageEngine } from '../../../fixtures/image-engine.ts'
import { Terminal } from '../../../fixtures/documents/terminal.ts'
import { reserve } from '../../../fixtures/reserve.ts'
import { run } from '../../../fixtures/run.ts'
import { temporaryHome } from '../../../fixtures/temporary.ts'
import { projectDirectory } from '../../../fixtures/tools.ts'

const minute = 60_000

suite('README.md, and pages with the image of the server', { timeout: 20 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let checkout: string
  let env: Record<string, string | undefined>
  before(async () => {
    resources.use(await reserve('ports'))
    const docker = await imageEngine()
    const directory = resources.use(await temporaryHome('readme')).path
    checkout = join(directory, 'ipdr')
    await mkdir(checkout)
    await run('bash', ['-c', 'git ls-files -z | xargs -0 cp --parents --target-directory "$0"', checkout], {
      cwd: projectDirectory,
    })
    await writeBusyboxContext(join(directory, 'hello'))
    await docker.run(['build', '--tag', 'example/helloworld', join(directory, 'hello')])
    // no test reaches for the Internet
    const { NODE_OPTIONS: _, ...own } = process.env
    const engine = { DOCKER_HOST: docker.host, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: directory }
    env = { ...own, ...engine, IPDR_NETWORK: 'lan', npm_config_prefer_offline: 'true' }
  })
  after(async () => {
    await run('docker-compose', ['--profile', 'pair', '--profile', 'app', 'down', '--volumes'], { cwd: checkout, env })
    await resources.disposeAsync()
  })

  for (const page of imagePages) {
    testPage(page, async () => await Terminal.open({ directory: checkout, env }), scenes[page])
  }
})
