import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LevelDatastore } from 'datastore-level'
import { IndexWriter } from '../../../src/index/index-writer.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const put = (key: string) => [{ type: 'put' as const, key, value: new Uint8Array([1]) }]

test('a failed write is followed by a new opening, so that what comes after it is kept', async () => {
  await using directory = await temporaryDirectory('writer')
  const store = new LevelDatastore(directory.path)
  await store.open()
  const { db } = store
  const opened: string[] = []
  db.on('open', () => {
    opened.push('open')
  })
  const writer = new IndexWriter(db, directory.path)
  const { batch } = db
  // as an append that fails half-way
  Object.assign(db, {
    batch: async () => {
      Object.assign(db, { batch })
      throw new Error('IO error')
    },
  })

  const results = await Promise.allSettled([
    writer.write(put('/a'), { durable: true }),
    writer.write(put('/b'), { durable: true }),
  ])
  await writer.write(put('/c'), { durable: true })

  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
  assert.deepEqual(opened, ['open'])
  assert.deepEqual(await db.keys().all(), ['/b', '/c'])
  await store.close()
})

test('writes that come together are all written', async () => {
  await using directory = await temporaryDirectory('writer')
  const store = new LevelDatastore(directory.path)
  await store.open()
  const writer = new IndexWriter(store.db, directory.path)

  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      await writer.write(put(`/${i}`), { durable: i % 2 === 0 })
    }),
  )

  assert.equal((await store.db.keys().all()).length, 100)
  await store.close()
})
