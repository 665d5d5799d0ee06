import { varint } from 'multiformats'
import { Uint8ArrayList } from 'uint8arraylist'
import type { AbortOptions, PeerId, Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'

/*
 * Sends blocks by bitswap without a copy
 *
 * @helia/bitswap 4 encodes each block twice: once to know its length, and once into a message of up to 4 MiB that it
 *   shares with others. Here each block is a message of its own, which its receiver can process while the next one
 *   arrives.
 */

/** Protobuf tags of length-delimited fields: 1 and 3 of a message, 1 and 2 of a block */
const messageTags = { wantList: 0x0a, block: 0x1a }
const blockTags = { prefix: 0x0a, data: 0x12 }

/** A block as bitswap sends it: its bytes, and its CID without the digest */
interface SentBlock {
  prefix: Uint8Array
  data: Uint8Array
}

interface Message {
  wantlist: Map<string, unknown>
  blockPresences: Map<string, unknown>
  blocks: Map<string, SentBlock>
}

/** The part of the library that sends its messages */
export interface MessageSender {
  protocols: string[]
  sendMessage: (peer: PeerId, message: Message, options?: AbortOptions) => Promise<void>
}

/** @param onBlock called with the bytes of each block that is sent */
export function sendBlocksUncopied(
  network: MessageSender,
  libp2p: Pick<Libp2p, 'dialProtocol'>,
  onBlock: (peer: string, bytes: number) => void = () => {},
): void {
  const send = network.sendMessage.bind(network)
  network.sendMessage = async (peer, message, options = {}) => {
    if (message.blocks.size > 0) {
      const stream = await libp2p.dialProtocol(peer, network.protocols, options)
      await sendBlocks(stream, message.blocks.values(), bytes => onBlock(peer.toString(), bytes), options)
    }
    if (message.wantlist.size > 0 || message.blockPresences.size > 0 || message.blocks.size === 0) {
      await send(peer, { ...message, blocks: new Map() }, options)
    }
  }
}

/** Whoever misses a block asks for it again, so the sender treats a broken stream as no failure */
async function sendBlocks(
  stream: Stream,
  blocks: Iterable<SentBlock>,
  onBlock: (bytes: number) => void,
  options: AbortOptions,
): Promise<void> {
  try {
    await stream.closeRead(options)
    for (const block of blocks) {
      onBlock(block.data.byteLength)
      if (!stream.send(blockMessage(block))) {
        await stream.onDrain(options)
      }
    }
    await stream.close(options)
  } catch (err) {
    stream.abort(err as Error)
  }
}

/**
 * A message of an empty want list and one block, preceded by its length
 *
 * @see https://specs.ipfs.tech/bitswap-protocol/#bitswap-1-2-0-wire-format
 */
export function blockMessage({ prefix, data }: SentBlock): Uint8ArrayList {
  const inBlock = Buffer.concat([
    numbers(blockTags.prefix, prefix.byteLength),
    prefix,
    numbers(blockTags.data, data.byteLength),
  ])
  const inMessage = Buffer.concat([
    numbers(messageTags.wantList, 0, messageTags.block, inBlock.byteLength + data.byteLength),
    inBlock,
  ])
  return new Uint8ArrayList(numbers(inMessage.byteLength + data.byteLength), inMessage, data)
}

function numbers(...values: number[]): Uint8Array {
  return Buffer.concat(values.map(value => varint.encodeTo(value, new Uint8Array(varint.encodingLength(value)))))
}
