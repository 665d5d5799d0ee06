import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createLog, type LogInit, type Logger } from '../../src/log.ts'

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

class Lines extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }

  get all(): string[] {
    return this.text.split('\n').slice(0, -1)
  }
}

function logWith(init: Partial<LogInit>, write: (log: Logger) => void): string[] {
  const stream = new Lines()
  write(createLog({ level: 'info', format: 'json', ...init, stream }))
  return stream.all
}

function objectOf(fields: Record<string, unknown>, init: Partial<LogInit> = {}): Record<string, unknown> {
  const [line, ...rest] = logWith(init, log => log.info('m', fields))
  assert.deepEqual(rest, [])
  const { time: _time, level: _level, message: _message, ...others } = JSON.parse(line!) as Record<string, unknown>
  return others
}

/** What a human line says after its message */
function humanOf(fields: Record<string, unknown>): string {
  const [line] = logWith({ format: 'human' }, log => log.info('m', fields))
  return line!.slice('2026-01-02T03:04:05.678Z info  m '.length)
}

describe('json log', () => {
  it('writes an object a line, with time, level, message and fields', () => {
    const lines = logWith({}, log => {
      log.error('first', { a: 1 })
      log.warn('second')
    })
    const [first, second] = lines.map(line => JSON.parse(line) as Record<string, string>)
    assert.match(first!['time']!, time)
    assert.deepEqual(Object.keys(first!), ['time', 'level', 'message', 'a'])
    assert.deepEqual({ ...second, time: '' }, { time: '', level: 'warn', message: 'second' })
  })

  it('does not let a field replace what every line has', () => {
    const [line] = logWith({}, log => log.info('real', { message: 'forged', level: 'error', time: 0 }))
    const { level, message, message_ } = JSON.parse(line!) as Record<string, unknown>
    assert.deepEqual({ level, message, message_ }, { level: 'info', message: 'real', message_: 'forged' })
  })
})

describe('human log', () => {
  it('writes time, level, message and key=value', () => {
    const [line] = logWith({ format: 'human' }, log =>
      log.info('blob stored', { size: 10, name: 'a b', empty: '', list: [1] }),
    )
    assert.match(line!.slice(0, 24), time)
    assert.equal(line!.slice(24), ' info  blob stored size=10 name="a b" empty="" list=[1]')
  })

  for (const [isTTY, hasColors, coloured] of [
    [true, true, true],
    [true, false, false],
    [false, true, false],
    [undefined, true, false],
  ] as const) {
    it(`is ${coloured ? '' : 'not '}coloured where isTTY is ${isTTY} and the terminal has ${hasColors ? '' : 'no '}colours`, () => {
      const stream = Object.assign(new Lines(), { isTTY, hasColors: () => hasColors })
      createLog({ level: 'info', format: 'human', stream }).info('m')
      assert.equal(stream.text.includes('\x1b['), coloured)
    })
  }
})

describe('levels', () => {
  const all = ['error', 'warn', 'info', 'debug'] as const
  for (const [index, level] of all.entries()) {
    it(`${level} writes ${all.slice(0, index + 1).join(', ')}`, () => {
      const lines = logWith({ level }, log => all.forEach(name => log[name]('m')))
      assert.deepEqual(
        lines.map(line => (JSON.parse(line) as { level: string }).level),
        all.slice(0, index + 1),
      )
    })
  }
})

describe('child', () => {
  it('adds its fields, below those of the line', () => {
    const [line] = logWith({}, log => log.child({ module: 'x', a: 1 }).child({ b: 2 }).info('m', { a: 3 }))
    const { a, b, module } = JSON.parse(line!) as Record<string, unknown>
    assert.deepEqual({ a, b, module }, { a: 3, b: 2, module: 'x' })
  })

  it('leaves its parent alone', () => {
    const [line] = logWith({}, log => {
      log.child({ module: 'x' })
      log.info('m')
    })
    assert.ok(!line!.includes('module'))
  })
})

describe('fields', () => {
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  const twice = { x: 1 }
  const table: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ['plain values', { a: 1, b: 'x', c: true, d: null, e: undefined }, { a: 1, b: 'x', c: true, d: null }],
    [
      'values that JSON has no word for',
      { a: 1n, b: Number.NaN, c: Symbol('s') },
      { a: '1', b: 'NaN', c: 'Symbol(s)' },
    ],
    [
      'dates, bytes and sets',
      { a: new Date(0), b: new Uint8Array(3), c: new Set([1]) },
      { a: '1970-01-01T00:00:00.000Z', b: '[3 bytes]', c: [1] },
    ],
    ['what has a text of its own', { a: new URL('http://a.example/') }, { a: 'http://a.example/' }],
    ['nested values and maps', { a: { b: new Map([['c', [1n]]]) } }, { a: { b: { c: ['1'] } } }],
    ['a circle', { a: circular }, { a: { self: '[circular]' } }],
    ['the same object twice', { a: [twice, twice] }, { a: [{ x: 1 }, { x: 1 }] }],
    [
      'a getter that throws',
      {
        a: {
          get b() {
            throw new Error('no')
          },
        },
      },
      { a: '[unreadable]' },
    ],
    [
      'secrets',
      { password: 'p', Authorization: 'a', token: 't', secret: 's', cookie: 'c' },
      {
        password: '[redacted]',
        Authorization: '[redacted]',
        token: '[redacted]',
        secret: '[redacted]',
        cookie: '[redacted]',
      },
    ],
    [
      'secrets further down',
      { a: [{ 'set-cookie': ['x'], headers: { 'proxy-authorization': 'x', accessToken: 'x' } }] },
      {
        a: [
          { 'set-cookie': '[redacted]', headers: { 'proxy-authorization': '[redacted]', accessToken: '[redacted]' } },
        ],
      },
    ],
    ['secrets in a map', { a: new Map([['password', 'p']]) }, { a: { password: '[redacted]' } }],
  ]
  for (const [title, fields, expected] of table) {
    it(`takes ${title}`, () => assert.deepEqual(objectOf(fields), expected))
  }

  it('keeps secrets out of human lines too', () => {
    assert.equal(
      humanOf({ password: 'p', a: { token: 't' } }),
      'password=[redacted] a="{\\"token\\":\\"[redacted]\\"}"',
    )
  })
})

describe('errors', () => {
  const err = Object.assign(new Error('boom', { cause: new TypeError('inner') }), { code: 'E_X' })

  it('are written with name, message, code and cause', () => {
    assert.deepEqual(objectOf({ err }), {
      err: { name: 'Error', message: 'boom', code: 'E_X', cause: { name: 'TypeError', message: 'inner' } },
    })
    assert.equal(humanOf({ err }), 'err="boom (E_X) caused by inner"')
  })

  it('keep what an aggregate gathered', () => {
    assert.deepEqual(objectOf({ err: new AggregateError([new Error('a')], 'both') }), {
      err: { name: 'AggregateError', message: 'both', errors: [{ name: 'Error', message: 'a' }] },
    })
  })

  for (const [level, line, expected] of [
    ['info', 'info', false],
    ['info', 'warn', false],
    ['info', 'error', true],
    ['error', 'error', true],
    ['debug', 'info', true],
  ] as const) {
    it(`have ${expected ? 'a' : 'no'} stack in a line of level ${line} at level ${level}`, () => {
      const [json] = logWith({ level }, log => log[line]('m', { err }))
      assert.equal(json!.includes('log.test.ts'), expected)
      const human = logWith({ level, format: 'human' }, log => log[line]('m', { err }))
      assert.equal(human.length > 1, expected)
      assert.ok(
        human.slice(1).every(text => text.startsWith('    ')),
        human.join('\n'),
      )
    })
  }
})

describe('one line a message', () => {
  const nasty = ['a\nb', 'a\r\nb', '\x1b[31mred', 'a\u2028b', 'a\u0085b', '\u202eabc', 'a\0b']
  for (const text of nasty) {
    it(`escapes ${JSON.stringify(text)} in message, key and value`, () => {
      for (const format of ['human', 'json'] as const) {
        const lines = logWith({ format }, log =>
          log.info(text, { [text]: text, nested: { text }, err: new Error(text) }),
        )
        assert.equal(lines.length, 1)
        assert.doesNotMatch(lines[0]!, /[\p{Cc}\u2028\u2029\u202e]/u)
      }
    })
  }

  it('takes any message and any fields', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withTypedArray: true,
      withSparseArray: true,
    })
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.dictionary(fc.string({ unit: 'binary' }), anything),
        (message, fields) => {
          const [json, ...more] = logWith({}, log => log.info(message, fields))
          assert.deepEqual(more, [])
          assert.equal((JSON.parse(json!) as { message: string }).message, message)
          assert.equal(logWith({ format: 'human' }, log => log.info(message, fields)).length, 1)
        },
      ),
      { numRuns: 200 },
    )
  })
})
