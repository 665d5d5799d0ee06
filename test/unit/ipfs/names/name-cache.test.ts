import assert from 'node:assert/strict'
import { beforeEach, describe, it, mock, afterEach } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { UnavailableError } from '../../../../src/ipfs/errors.ts'
import { NameCache, type NameAnswer } from '../../../../src/ipfs/names/name-cache.ts'
import { NameNotFoundError } from '../../../../src/ipfs/names/errors.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

const second = 1000
const hour = 3600 * second
const target = (cid: string) => ({ cid, path: [] })

describe('answers about names', () => {
  let asked: string[]
  let answer: (name: string) => Promise<NameAnswer> | NameAnswer
  const log = recordingLog()
  const make = (init = {}) =>
    new NameCache(
      {
        lookUp: async name => {
          asked.push(name)
          return await answer(name)
        },
        log,
      },
      init,
    )

  beforeEach(() => {
    asked = []
    mock.timers.enable({ apis: ['Date'], now: 1_000_000_000_000 })
  })
  afterEach(() => {
    mock.timers.reset()
  })

  it('are kept for their TTL, and not longer', async () => {
    const cache = make()
    answer = () => ({ target: target('a'), ttl: 10 })
    await cache.get('x')
    mock.timers.setTime(Date.now() + 4 * second)
    assert.deepEqual(await cache.get('x'), { target: target('a'), ttl: 6 })
    answer = () => ({ target: target('b'), ttl: 10 })
    mock.timers.setTime(Date.now() + 6 * second)
    assert.deepEqual((await cache.get('x')).target, target('b'))
    assert.deepEqual(asked, ['x', 'x'])
  })

  it('serve all who ask at the same time, though one of them goes away', async () => {
    const cache = make()
    const { promise, resolve } = Promise.withResolvers<NameAnswer>()
    answer = () => promise
    const controller = new AbortController()
    const gone = assert.rejects(cache.get('x', { signal: controller.signal }), { name: 'AbortError' })
    const staying = cache.get('x')
    controller.abort()
    await gone
    resolve({ target: target('a'), ttl: 1 })
    assert.deepEqual((await staying).target, target('a'))
    assert.equal(asked.length, 1)
  })

  it('are given for an hour more where they can not be had anew, and no longer', async () => {
    const cache = make()
    answer = () => ({ target: target('a'), ttl: 10 })
    await cache.get('x')
    answer = () => {
      throw new UnavailableError()
    }
    mock.timers.setTime(Date.now() + 11 * second)
    assert.deepEqual(await cache.get('x'), { target: target('a'), ttl: 30 })
    await cache.get('x')
    assert.equal(asked.length, 2, 'not asked again at once')
    mock.timers.setTime(Date.now() + 31 * second)
    await cache.get('x')
    assert.equal(asked.length, 3)
    mock.timers.setTime(Date.now() + hour)
    await assert.rejects(cache.get('x'), { name: 'UnavailableError' })
  })

  it('end where DNS says that there is none any more', async () => {
    const cache = make()
    answer = () => ({ target: target('a'), ttl: 1 })
    await cache.get('x')
    answer = () => {
      throw new NameNotFoundError('none', { ttl: 600 })
    }
    mock.timers.setTime(Date.now() + 2 * second)
    await assert.rejects(cache.get('x'), { name: 'NameNotFoundError' })
    await assert.rejects(cache.get('x'), { name: 'NameNotFoundError' })
    assert.equal(asked.length, 2, 'kept for a while')
    mock.timers.setTime(Date.now() + 61 * second)
    answer = () => ({ target: target('b'), ttl: 1 })
    assert.deepEqual((await cache.get('x')).target, target('b'))
  })

  it('are not waited for without end', async () => {
    const cache = make({ timeout: 20 })
    answer = async () => await new Promise(() => {})
    await assert.rejects(cache.get('x'), { name: 'UnavailableError' })
  })

  it('are forgotten where there are too many', async () => {
    const cache = make()
    answer = () => ({ target: target('a'), ttl: 100 })
    for (let i = 0; i <= 1000; i++) {
      await cache.get(`x${i}`)
    }
    await cache.get('x1')
    assert.equal(asked.length, 1001)
    await cache.get('x0')
    assert.equal(asked.length, 1002)
  })

  it('stop with the server', async () => {
    const cache = make()
    answer = async () => await new Promise(() => {})
    const waiting = assert.rejects(cache.get('x'), /stops/)
    await turn()
    cache.stop()
    await waiting
  })
})
