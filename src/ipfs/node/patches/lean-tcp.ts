import { tcp } from '@libp2p/tcp'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import type { Socket } from 'node:net'
import type { Uint8ArrayList } from 'uint8arraylist'

/*
 * TCP that passes on what it is given in one go, and does not keep others waiting
 *
 * @libp2p/tcp 11 writes each piece of a message by itself: of Noise these are its length, the ciphertext and a tag, each a call of the system
 * and a packet of its own. And it takes all that a socket brings at once, which from a fast peer is up to 2 MiB.
 */

/** Bytes that a socket takes before it asks to wait. Node's own 64 KiB are less than two messages of Noise. */
const highWaterMark = 256 * 1024
/** What a connection brings before others get their turn: a millisecond of work */
const bytesPerTurn = 256 * 1024
/** The library hands over more than its types tell: all that `net.connect` and `net.createServer` take */
const dialOpts = { noDelay: true, writableHighWaterMark: highWaterMark }
const listenOpts = { noDelay: true, highWaterMark }

type Components = Parameters<ReturnType<typeof tcp>>[0]

interface TcpConnection extends MultiaddrConnection {
  socket: Socket
  sendData: (data: Uint8ArrayList) => { sentBytes: number; canSendMore: boolean }
  onData: (data: Uint8Array) => void
  readStatus: string
}

export function leanTcp(): (components: Components) => Transport {
  return components => {
    const transport = tcp({ dialOpts, listenOpts })(components)
    const dial = transport.dial.bind(transport)
    const createListener = transport.createListener.bind(transport)
    transport.dial = async (address, options) =>
      await dial(address, { ...options, upgrader: leanUpgrader(options.upgrader) })
    transport.createListener = options => createListener({ ...options, upgrader: leanUpgrader(options.upgrader) })
    return transport
  }
}

function leanUpgrader(upgrader: Upgrader): Upgrader {
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

function lean(connection: MultiaddrConnection): MultiaddrConnection {
  const tcpConnection = connection as TcpConnection
  if (
    typeof tcpConnection.sendData !== 'function' ||
    typeof tcpConnection.onData !== 'function' ||
    typeof tcpConnection.socket?.cork !== 'function'
  ) {
    throw new Error('This version of @libp2p/tcp keeps its socket elsewhere')
  }
  writeAtOnce(tcpConnection)
  readInTurns(tcpConnection)
  return connection
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

/** For as long as it takes to decrypt and hash what Node reads at once, everything else would wait */
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
