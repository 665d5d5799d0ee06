/**
 * The commands in docs/, as they stand and in their order, on a machine of their own: each page in a new directory that
 * looks like a checkout. What they print has to begin as the page shows it; see `patternOf`. What a page takes for
 * granted is in `scenes`. The pages that build the image of the server are in image/readme.ts.
 */
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { after, before, suite } from 'node:test'
import { documentPages } from '../../fixtures/documents/code-blocks.ts'
import { startMachine, type Machine } from '../../fixtures/documents/machine.ts'
import { reportBlocks, succeed, testPage } from '../../fixtures/documents/run-page.ts'
import { imagePages, scenes } from '../../fixtures/documents/scenes.ts'
import { Terminal } from '../../fixtures/documents/terminal.ts'
import { run } from '../../fixtures/run.ts'
import { temporaryHome, type TemporaryDirectory } from '../../fixtures/temporary.ts'
import { installedTool, projectDirectory } from '../../fixtures/tools.ts'

const minute = 60_000

suite('the commands in docs/', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let machine: Machine
  let scratch: TemporaryDirectory
  let checkout: string

  before(async () => {
    scratch = resources.use(await temporaryHome('documents'))
    // a copy, as commands may change it
    checkout = join(scratch.path, 'ipdr')
    await mkdir(checkout)
    const files = 'package.json config docs scripts src ui'
    await run('bash', ['-c', `git ls-files -z ${files} | xargs -0 cp --parents -t "$0"`, checkout], {
      cwd: projectDirectory,
    })
    await symlink(join(projectDirectory, 'node_modules'), join(checkout, 'node_modules'))
    machine = resources.use(await startMachine(['registry.example', 'mirror.example']))
    await using terminal = await openTerminal('machine')
    await succeed(
      terminal,
      `cp ${installedTool('busybox')} . && tar -c busybox |
      docker import --change 'CMD ["/busybox", "echo", "Hello, world!"]' - example/helloworld`,
    )
  })

  after(async () => {
    await resources.disposeAsync()
  })

  /** In a new directory with the files of a checkout */
  async function openTerminal(name: string): Promise<Terminal> {
    const directory = join(scratch.path, name.replaceAll('/', '-'))
    await mkdir(join(directory, 'home'), { recursive: true })
    for (const file of await readdir(checkout)) {
      await symlink(join(checkout, file), join(directory, file))
    }
    const programs = [join(projectDirectory, 'test/tools/bin'), '/usr/local/sbin', dirname(process.execPath)]
    const { NODE_OPTIONS: _, ...own } = process.env
    const env = {
      ...own,
      PATH: [...programs, ...own['PATH']!.split(delimiter)].join(delimiter),
      HOME: join(directory, 'home'),
      DOCKER_HOST: machine.dockerHost,
      // no test reaches for the Internet
      IPDR_NETWORK: 'lan',
    }
    const terminal = await Terminal.open({ directory, enter: machine.enter, env })
    await succeed(terminal, 'rm -rf /etc/ipdr /mnt/* /srv/* /var/lib/ipdr')
    return terminal
  }

  reportBlocks(documentPages())
  for (const page of documentPages().filter(name => !imagePages.includes(name))) {
    testPage(page, async () => await openTerminal(page), scenes[page])
  }
})
