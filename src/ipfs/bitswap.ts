import type { BitswapOptions } from '@helia/bitswap'

const second = 1000
const mebibyte = 1024 * 1024

export const bitswapOptions: BitswapOptions = {
  // kubo refuses more than 4 MiB, and blocks are of 1 MiB
  maxOutgoingMessageSize: 4 * mebibyte,
  maxIncomingMessageSize: 4 * mebibyte,
  // a whole message has to come within it: 4 MiB in 60 s is half a megabit a second
  messageReceiveTimeout: 60 * second,
  messageSendTimeout: 60 * second
}
