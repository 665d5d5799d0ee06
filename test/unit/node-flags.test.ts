import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import packageJson from '../../package.json' with { type: 'json' }
import { nodeEnvironment, nodeFlags } from '../../scripts/node-flags.ts'

const root = join(import.meta.dirname, '../..')
const print = `data:text/javascript,process.stdout.write(JSON.stringify([process.execArgv,process.env]));process.exit()`

describe('the flags of Node', () => {
  it('are those that src/main.js runs with as a program', async () => {
    const { stdout } = await promisify(execFile)(join(root, 'src/main.js'), [], {
      env: { ...process.env, NODE_OPTIONS: `--import=${print}` },
    })
    const [flags, environment] = JSON.parse(stdout) as [string[], Record<string, string>]
    assert.deepEqual(flags, nodeFlags())
    assert.partialDeepStrictEqual(environment, nodeEnvironment())
    assert.equal(Object.keys(nodeEnvironment()).length, 2)
  })

  it('reach npm start, npm run ipdr and the container by its first line', () => {
    const { start, ipdr } = packageJson.scripts
    assert.deepEqual([start, ipdr], ['exec src/main.js server', 'exec src/main.js'])
    const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
    assert.match(dockerfile, /^ENTRYPOINT \["\/app\/bin\/ipdr"\]$/m)
    assert.match(dockerfile, /ln -s \.\.\/dist\/ipdr\.cjs \/out\/root\/app\/bin\/ipdr/)
  })

  it('have no copy', () => {
    const files = globSync(
      ['package.json', 'Dockerfile', 'docker-compose.yml', '{src,scripts,test,bench,config}/**/*.*'],
      {
        cwd: root,
        exclude: ['bench/README.md', 'bench/results/**', 'bench/profiles/**', 'test/tools/**'],
      },
    )
    const names = [...nodeFlags(), ...Object.keys(nodeEnvironment())].map(name => name.split('=')[0]!)
    const copies = files.filter(file => {
      const text = readFileSync(join(root, file), 'utf8')
      return names.some(name => text.includes(name))
    })
    assert.deepEqual(copies, ['src/main.js'])
  })
})
