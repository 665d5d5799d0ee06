import { tcp } from '@libp2p/tcp'
import type { Patches, Shape } from './patches.ts'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import type { Socket } from 'node:net'
import type { Uint8ArrayList } from 'uint8arraylist'

/*
 * TCP that writes each message in one go, and reads in turns
 *
 * @libp2p/tcp 11 writes each piece of a message by itself: with Noise these are its length, the ciphertext and a tag,
 *   each a system call and a packet of its own. And it takes all that a socket delivers at once, up to 2 MiB from a
 *   fast peer, before anybody else is served.
 */

/**
 * Bytes that a socket buffers before it asks its writer to wait. Node's default of 64 KiB is less than two messages of
 * Noise.
 */
const highWaterMark = 256 * 1024
/** Bytes that a connection may deliver before others get their turn: a millisecond of work */
const bytesPerTurn = 256 * 1024
/** The library passes on more than its types allow: all options of `net.connect` and `net.createServer` */
const dialOpts = { noDelay: true, writableHighWaterMark: highWaterMark }
const listenOpts = { noDelay: true, highWaterMark }

const name = '@libp2p/tcp'
const transportShape: Shape = { dial: 'function', createListener: 'function' }
const connectionShape: Shape = {
  sendData: 'function',
  onData: 'function',
  readStatus: 'string',
  'socket.cork': 'function',
}

type Components = Parameters<ReturnType<typeof tcp>>[0]

interface TcpConnection extends MultiaddrConnection {
  socket: Socket
  sendData: (data: Uint8ArrayList) => { sentBytes: number; canSendMore: boolean }
  onData: (data: Uint8Array) => void
  readStatus: string
}

export function leanTcp(patches: Patches): (components: Components) => Transport {
  return components => {
    const transport = tcp({ dialOpts, listenOpts })(components)
    if (!patches.fits(name, transport, transportShape)) {
      return transport
    }
    const dial = transport.dial.bind(transport)
    const createListener = transport.createListener.bind(transport)
    transport.dial = async (address, options) =>
      await dial(address, { ...options, upgrader: leanUpgrader(options.upgrader, patches) })
    transport.createListener = options =>
      createListener({ ...options, upgrader: leanUpgrader(options.upgrader, patches) })
    return transport
  }
}

/** An upgrader is where a transport hands over each new connection */
function leanUpgrader(upgrader: Upgrader, patches: Patches): Upgrader {
  const lean = (connection: MultiaddrConnection): MultiaddrConnection => {
    if (patches.fits(name, connection, connectionShape)) {
      writeAtOnce(connection as TcpConnection)
      readInTurns(connection as TcpConnection)
    }
    return connection
  }
  return {
    upgradeOutbound: async (connection, options) => await upgrader.upgradeOutbound(lean(connection), options),
    upgradeInbound: async (connection, options) => {
      await upgrader.upgradeInbound(lean(connection), options)
    },
    createInboundAbortSignal: signal => upgrader.createInboundAbortSignal(signal),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
  }
}

function writeAtOnce(connection: TcpConnection): void {
  const { socket } = connection
  const sendData = connection.sendData.bind(connection)
  connection.sendData = data => {
    socket.cork()
    try {
      return sendData(data)
    } finally {
      socket.uncork()
    }
  }
}

/** Decrypting and hashing all that Node reads at once would keep everything else waiting */
function readInTurns(connection: TcpConnection): void {
  const { socket } = connection
  const onData = connection.onData.bind(connection)
  let bytes = 0
  connection.onData = data => {
    bytes += data.byteLength
    if (bytes >= bytesPerTurn) {
      bytes = 0
      socket.pause()
      setImmediate(() => {
        if (connection.readStatus !== 'paused') {
          socket.resume()
        }
      })
    }
    onData(data)
  }
}
