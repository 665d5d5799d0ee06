import { tcp } from '@libp2p/tcp'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import type { Socket } from 'node:net'
import type { Uint8ArrayList } from 'uint8arraylist'

/*
 * TCP that passes on what it is given in one go
 *
 * @libp2p/tcp 11 writes each piece of a message by itself: of Noise these are its length, the ciphertext and a tag, each a call of the system
 * and a packet of its own.
 */

/** Bytes that a socket takes before it asks to wait: a block. Node's own 64 KiB are less than two messages of Noise. */
const highWaterMark = 1024 * 1024
/** The library hands over more than its types tell: all that `net.connect` and `net.createServer` take */
const dialOpts = { noDelay: true, writableHighWaterMark: highWaterMark }
const listenOpts = { noDelay: true, highWaterMark }

type Components = Parameters<ReturnType<typeof tcp>>[0]

interface TcpConnection extends MultiaddrConnection {
  socket: Socket
  sendData: (data: Uint8ArrayList) => { sentBytes: number, canSendMore: boolean }
}

export function leanTcp (): (components: Components) => Transport {
  return components => {
    const transport = tcp({ dialOpts, listenOpts })(components)
    const dial = transport.dial.bind(transport)
    const createListener = transport.createListener.bind(transport)
    transport.dial = async (address, options) => await dial(address, { ...options, upgrader: writingAtOnce(options.upgrader) })
    transport.createListener = options => createListener({ ...options, upgrader: writingAtOnce(options.upgrader) })
    return transport
  }
}

function writingAtOnce (upgrader: Upgrader): Upgrader {
  return {
    upgradeOutbound: async (connection, options) => await upgrader.upgradeOutbound(writeAtOnce(connection), options),
    upgradeInbound: async (connection, options) => { await upgrader.upgradeInbound(writeAtOnce(connection), options) },
    createInboundAbortSignal: signal => upgrader.createInboundAbortSignal(signal),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters()
  }
}

function writeAtOnce (connection: MultiaddrConnection): MultiaddrConnection {
  const tcpConnection = connection as TcpConnection
  const { socket } = tcpConnection
  if (typeof tcpConnection.sendData !== 'function' || typeof socket?.cork !== 'function') {
    throw new Error('This version of @libp2p/tcp keeps its socket elsewhere')
  }
  const sendData = tcpConnection.sendData.bind(tcpConnection)
  tcpConnection.sendData = data => {
    socket.cork()
    try {
      return sendData(data)
    } finally {
      socket.uncork()
    }
  }
  return connection
}
