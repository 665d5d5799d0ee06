import { yamux } from '@chainsafe/libp2p-yamux'
import type { StreamMuxerFactory } from '@libp2p/interface'

/*
 * Yamux that tells of a wider window once half of it is used up, as the Go implementation does
 *
 * @chainsafe/libp2p-yamux 8 does so after every frame, however small: a message of its own each time, encrypted, sent, received and decrypted.
 */

/** States of the library's stream in which a frame carries no flag that opens the stream */
const openStates = [1, 3]

interface Stream {
  state: number
  /** Bytes that the other side may send at once, and how many of them are left */
  recvWindow: number
  recvWindowCapacity: number
  sendWindowUpdate: () => void
}

interface Muxer {
  _newStream: (...args: unknown[]) => Stream
}

export function leanYamux(...args: Parameters<typeof yamux>): () => StreamMuxerFactory {
  return () => {
    const factory = yamux(...args)()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = connection => {
      const muxer = create(connection)
      updateRarely(muxer as unknown as Muxer)
      return muxer
    }
    return factory
  }
}

function updateRarely(muxer: Muxer): void {
  const newStream = muxer._newStream.bind(muxer)
  muxer._newStream = (...args) => {
    const stream = newStream(...args)
    const update = stream.sendWindowUpdate.bind(stream)
    if (typeof stream.recvWindow !== 'number' || typeof stream.recvWindowCapacity !== 'number') {
      throw new Error('This version of @chainsafe/libp2p-yamux keeps its window elsewhere')
    }
    stream.sendWindowUpdate = () => {
      if (!openStates.includes(stream.state) || stream.recvWindowCapacity <= stream.recvWindow / 2) {
        update()
      }
    }
    return stream
  }
}
