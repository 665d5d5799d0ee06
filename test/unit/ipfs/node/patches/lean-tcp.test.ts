import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { componentLogger } from '../../../../../src/ipfs/node/libp2p-logger.ts'
import { multiaddr } from '@multiformats/multiaddr'
import type { Connection, MultiaddrConnection, Upgrader } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { leanTcp } from '../../../../../src/ipfs/node/patches/lean-tcp.ts'
import { Patches } from '../../../../../src/ipfs/node/patches/patches.ts'
import { recordingLog } from '../../../../fixtures/recording-log.ts'

const kibibyte = 1024

/** A dialled connection, its socket, and that of the other end */
async function connect(
  t: TestContext,
): Promise<{ connection: MultiaddrConnection & { socket: Socket }; remote: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  let connection: MultiaddrConnection | undefined
  const upgrader = {
    upgradeOutbound: async (dialled: MultiaddrConnection) => {
      connection = dialled
      return {} as Connection
    },
  } as unknown as Upgrader
  const transport = leanTcp(new Patches({ log: recordingLog() }))({ logger: componentLogger(recordingLog()) } as never)
  await transport.dial(multiaddr(`/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`), {
    upgrader,
    signal: AbortSignal.timeout(20_000),
  } as never)
  const [remote] = await accepted
  t.after(() => {
    connection?.abort(new Error('over'))
    remote.destroy()
    server.close()
  })
  return { connection: connection as MultiaddrConnection & { socket: Socket }, remote }
}

test('the pieces of a message are written in one go', async t => {
  const { connection, remote } = await connect(t)
  const corked: number[] = []
  const write = connection.socket.write.bind(connection.socket) as (data: Uint8Array) => boolean
  t.mock.method(connection.socket, 'write', (data: Uint8Array) => {
    corked.push(connection.socket.writableCorked)
    return write(data)
  })
  connection.send(new Uint8ArrayList(Buffer.from('length'), Buffer.from('ciphertext'), Buffer.from('tag')))
  const [data] = (await once(remote, 'data')) as [Buffer]
  assert.deepEqual(corked, [1, 1, 1])
  assert.equal(data.toString(), 'lengthciphertexttag')
  assert.equal(connection.socket.writableCorked, 0)
})

test('others get their turn after a quarter of a mebibyte', async t => {
  const { connection } = await connect(t)
  const { socket } = connection
  connection.addEventListener('message', () => {})
  const paused = Array.from({ length: 4 }, () => {
    socket.emit('data', Buffer.alloc(64 * kibibyte))
    return socket.isPaused()
  })
  assert.deepEqual(paused, [false, false, false, true])
  await setImmediate()
  assert.equal(socket.isPaused(), false)

  // whoever paused the connection itself finds it so
  socket.emit('data', Buffer.alloc(256 * kibibyte))
  connection.pause()
  await setImmediate()
  assert.equal(socket.isPaused(), true)
})
