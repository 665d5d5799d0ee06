import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { run } from '../../../fixtures/run.ts'
import { ipdr } from '../ipdr.ts'

describe('ipdr completion', () => {
  for (const [line, expected] of [
    [['pu'], ['push', 'pull', 'publish']],
    [
      ['config', ''],
      ['verify', 'show'],
    ],
    [['push', '--fr'], ['--from']],
    [['peers', 'connect', '--js'], ['--json']],
    [['server', '--p2p-po'], ['--p2p-port']],
  ] as const) {
    it(`for bash knows ${line.join(' ')}`, async () => {
      const { out } = await ipdr(['completion', 'bash'])
      const words = line.map(word => `'${word}'`).join(' ')
      const printed = await run('bash', [
        '-c',
        `${out}\nCOMP_WORDS=(ipdr ${words}); COMP_CWORD=${line.length}; _ipdr; echo "\${COMPREPLY[@]}"`,
      ])
      assert.deepEqual(
        printed.split(' ').filter(word => expected.some(wanted => wanted === word)),
        [...expected],
      )
    })
  }

  it('for zsh is that of bash', async () => {
    assert.match((await ipdr(['completion', 'zsh'])).out, /^#compdef ipdr\n.*bashcompinit\n_ipdr\(\)/)
  })

  it('for fish names commands and flags', async () => {
    const { out } = await ipdr(['completion', 'fish'])
    assert.match(out, /^complete -c ipdr -n '__fish_use_subcommand' -a push -d '.+'$/m)
    assert.match(out, /^complete -c ipdr -n '__fish_seen_subcommand_from push' -l from -d '.+'$/m)
  })

  it('knows no other shell', async () => assert.equal((await ipdr(['completion', 'x'])).code, 1))
})
