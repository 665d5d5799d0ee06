import { yamux } from '@chainsafe/libp2p-yamux'
import { StreamState } from '@chainsafe/libp2p-yamux/stream'
import type { Patches, Shape } from './patches.ts'
import type { StreamMuxerFactory } from '@libp2p/interface'

/*
 * Yamux that announces free space in its receive window once half of the window is used up, as the Go implementation
 * does
 *
 * @chainsafe/libp2p-yamux 8 does so after every frame, however small: each time a message of its own, encrypted, sent,
 *   received and decrypted.
 */

const name = '@chainsafe/libp2p-yamux'
const muxerShape: Shape = { _newStream: 'function' }
const streamShape: Shape = {
  state: 'number',
  recvWindow: 'number',
  recvWindowCapacity: 'number',
  sendWindowUpdate: 'function',
}

/**
 * In these states a window update is only that; in others it carries the flag that opens the stream, and has to be sent
 */
const openStates = [StreamState.SYNSent, StreamState.Established]

interface Stream {
  state: StreamState
  /** Bytes that the other side may send at once */
  recvWindow: number
  /** How many of them are left */
  recvWindowCapacity: number
  sendWindowUpdate: () => void
}

interface Muxer {
  _newStream: (...args: unknown[]) => Stream
}

export function leanYamux(patches: Patches, ...args: Parameters<typeof yamux>): () => StreamMuxerFactory {
  return () => {
    const factory = yamux(...args)()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = connection => {
      const muxer = create(connection)
      if (patches.fits(name, muxer, muxerShape)) {
        updateRarely(muxer as unknown as Muxer, patches)
      }
      return muxer
    }
    return factory
  }
}

function updateRarely(muxer: Muxer, patches: Patches): void {
  const newStream = muxer._newStream.bind(muxer)
  muxer._newStream = (...args) => {
    const stream = newStream(...args)
    if (!patches.fits(name, stream, streamShape)) {
      return stream
    }
    const update = stream.sendWindowUpdate.bind(stream)
    stream.sendWindowUpdate = () => {
      if (!openStates.includes(stream.state) || stream.recvWindowCapacity <= stream.recvWindow / 2) {
        update()
      }
    }
    return stream
  }
}
