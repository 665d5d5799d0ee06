import assert from 'node:assert/strict'
import fs, { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { AccessFiles } from '../../../src/access/files/access-files.ts'
import { parseAccessFile } from '../../../src/access/files/access-file.ts'
import { parsePasswords } from '../../../src/access/files/htpasswd.ts'
import { presetFile, presets } from '../../../src/access/rules/presets.ts'
import { htpasswd } from '../../fixtures/access.ts'
import { recordingLog } from '../../fixtures/recording-log.ts'
import { replaceFs } from '../../fixtures/replace-fs.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { until } from '../../fixtures/until.ts'

const valid = 'rules: [{ who: [anonymous], repositories: ["**"], actions: [pull] }]\n'

describe('a file with rules', () => {
  it('is any of the presets', () => {
    for (const preset of presets) {
      parseAccessFile('access.yml', presetFile(preset))
    }
  })

  it('is refused with the line and column of each problem', () => {
    const cases: [string, RegExp][] = [
      ['', /line 1, column 1: file: must be a mapping with the key rules/],
      ['rules:\n  - who: [bob]\n', /line 2, column 11: rules\.0\.who\.0: must be anonymous/],
      ['rules:\n  - who: [bob]\n', /line 2, column 5: rules\.0\.repositories: must be a list/],
      [`${valid}colour: red\n`, /line 2, column 9: colour: unknown key/],
      [valid.replace('pull', 'fetch'), /must be one of pull, push, tag, delete, admin/],
      [valid.replace('anonymous', '"network:10.0.0.0/33"'), /rules\.0\.who\.0/],
      [valid.replace('**', 'a b'), /must be a pattern/],
      ['rules: [', /line \d+, column \d+/],
      ['groups: { g: ["a:b"] }\nrules: []\n', /groups\.g\.0: must be a user name/],
      [valid.replace('anonymous', '"user:github:a"'), /rules\.0\.who\.0: .*github, before the colon, is no issuer/],
      [valid.replace('anonymous', '"issuer:github"'), /rules\.0\.who\.0: .*is no issuer of this file/],
      [
        'issuers: { key: { issuer: "https://a", audience: x } }\nrules: []\n',
        /line 1, column 17: issuers\.key: must be a name of/,
      ],
      ['issuers: { a: { issuer: "https://a" } }\nrules: []\n', /issuers\.a\.audience: must be a text/],
      [
        'issuers: { a: { issuer: "https://a", login: {} } }\nrules: []\n',
        /issuers\.a\.login\.clientId: must be a text/,
      ],
      [
        'issuers: { a: { issuer: "https://a", login: x } }\nrules: []\n',
        /a\.login: must be a mapping with the key clientId/,
      ],
      [
        'issuers: { a: { issuer: "https://a", login: { clientId: x, secret: y } } }\nrules: []\n',
        /line 1, column 68: issuers\.a\.login\.secret: unknown key/,
      ],
      [
        'issuers: { a: { issuer: x, jwks: x, login: { clientId: x } } }\nrules: []\n',
        /issuers\.a\.issuer: must be a URL where there is a login/,
      ],
      ['issuers: { a: { issuer: x, audience: x } }\nrules: []\n', /issuers\.a\.issuer: must be a URL, unless/],
      ['issuers: { a: { issuer: ipdr, audience: x, jwks: x } }\nrules: []\n', /a\.issuer: is this registry itself/],
      [
        'issuers: { a: &i { issuer: x, audience: x, jwks: x }, b: *i }\nrules: []\n',
        /issuers\.b\.issuer: is that of another issuer/,
      ],
    ]
    for (const [text, message] of cases) {
      assert.throws(() => parseAccessFile('access.yml', text), { name: 'AccessFileError', message }, text)
    }
  })

  it('is refused or read, whatever stands in it', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          fc.json().map(json => `rules: ${json}`),
        ),
        text => {
          try {
            parseAccessFile('access.yml', text)
          } catch (err) {
            assert.equal((err as Error).name, 'AccessFileError', String(err))
          }
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('a password file', () => {
  it('holds users and bcrypt hashes', () => {
    const text = `# users\n\n${htpasswd({ a: 'x', 'b@c': 'y' })}`
    assert.deepEqual([...parsePasswords('htpasswd', text).keys()], ['a', 'b@c'])
  })

  it('is refused with the line and column of each problem', () => {
    const hash = htpasswd({ a: 'x' }).slice(2).trim()
    const cases: [string, RegExp][] = [
      ['a', /line 1, column 1: must begin with a user name/],
      [`anonymous:${hash}`, /line 1, column 1: must begin with a user name/],
      [`\na:${hash}\na:${hash}`, /line 3, column 1: this user has a line already/],
      ['a:$apr1$x$y', /line 1, column 3: must be a bcrypt hash/],
      ['a:{SHA}xx', /line 1, column 3: must be a bcrypt hash/],
      [`a:${hash.replace('$04$', '$31$')}`, /cost 4 to 17/],
    ]
    for (const [text, message] of cases) {
      assert.throws(() => parsePasswords('htpasswd', text), { name: 'AccessFileError', message }, text)
    }
  })
})

describe('files of rules and passwords', () => {
  it('are read again when they change, and stay as they were where they can not be used', async () => {
    await using directory = await temporaryDirectory('access')
    const [accessFile, passwordFile, keyFile] = ['access.yml', 'htpasswd', 'api-keys.json'].map(name =>
      join(directory.path, name),
    ) as [string, string, string]
    const log = recordingLog()
    const files = new AccessFiles({ log }, { accessFile, passwordFile, keyFile, required: false })
    await files.start()
    assert.equal(files.state, undefined)
    try {
      await writeFile(passwordFile, htpasswd({ a: 'x' }))
      await writeFile(accessFile, valid)
      await until('the rules', () => files.state?.passwords.has('a'))
      const before = files.state
      await writeFile(accessFile, 'rules: nonsense')
      await until('a complaint', () =>
        log.lines.find(({ fields }) => String(fields['reason']).includes('must be a list of rules')),
      )
      assert.equal(files.state, before)
      await rm(accessFile)
      await until('another complaint', () => log.lines.find(({ message }) => message.includes('are gone')))
      assert.equal(files.state, before, 'rules that are gone open nothing')
      await writeFile(accessFile, valid)
      await writeFile(passwordFile, htpasswd({ b: 'x' }))
      await until('the new users', () => files.state?.passwords.has('b'))
    } finally {
      await files.stop()
    }
  })

  it('that are replaced together count together, even while they are being read', async () => {
    await using directory = await temporaryDirectory('access')
    const [accessFile, passwordFile] = ['access.yml', 'htpasswd'].map(name => join(directory.path, name)) as [
      string,
      string,
    ]
    const replace = async (user: string): Promise<void> => {
      for (const [file, text] of [
        [accessFile, valid.replace('anonymous', `'user:${user}'`)],
        [passwordFile, htpasswd({ [user]: 'x' })],
      ] as const) {
        await writeFile(`${file}.new`, text)
        await rename(`${file}.new`, file)
      }
    }
    await replace('a')
    const keyFile = join(directory.path, 'api-keys.json')
    const files = new AccessFiles({ log: recordingLog() }, { accessFile, passwordFile, keyFile, required: false })
    await files.load()
    const pairOf = (state = files.state): string =>
      ['a', 'b']
        .filter(name => state!.rules.allowsEverywhere({ kind: 'user', name, groups: [] }, 'pull'))
        .concat([...state!.passwords.keys()])
        .join()
    assert.equal(pairOf(), 'a,a')

    const { readFile } = fs
    let reads = 0
    using _replaced = replaceFs({
      readFile: (async (...args: Parameters<typeof readFile>) => {
        const text = await readFile(...args)
        // both are replaced after one has been read and before the other is
        if (args[0] === accessFile && ++reads === 1) {
          await replace('b')
        }
        return text
      }) as typeof readFile,
    })
    await files.reload()
    assert.equal(pairOf(), 'b,b')
    assert.equal(reads, 2)
  })

  it('are missed where they were named', async () => {
    const log = recordingLog()
    const files = new AccessFiles(
      { log },
      { accessFile: '/nowhere/access.yml', passwordFile: '/nowhere/x', keyFile: '/nowhere/y', required: true },
    )
    await assert.rejects(files.load(), { name: 'AccessFileError', message: /there is no such file/ })
  })
})
