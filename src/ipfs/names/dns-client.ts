/**
 * Asks DNS servers for TXT records. `node:dns` can't be used, as it does not tell the TTL of a TXT record.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1035
 */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { getServers } from 'node:dns'
import { once } from 'node:events'
import { connect, isIP } from 'node:net'
import { decode, encode, RECURSION_DESIRED, type Answer, type Packet } from '@dnsquery/dns-packet'
import { UnavailableError } from '../errors.ts'

export interface DnsClientInit {
  /**
   * `<ip>` or `<ip>:<port>`, IPv6 with a port in brackets; without any, those of the system, which are read for each
   * question
   */
  servers: readonly string[]
  /**
   * How long to wait for one server before the next is asked; milliseconds
   *
   * @default 2000
   */
  timeout?: number
}

/** The answer of DNS, which has no texts where the domain does not exist or has no TXT record */
export interface TxtAnswer {
  texts: string[]
  /** For how many seconds the answer holds, even if it has no texts */
  ttl: number
}

const port = 53
/** How many times each server is asked before all of them count as unreachable */
const rounds = 2
/** The longest datagram that networks do not split; the value that DNS software agreed on in 2020 */
const maxDatagram = 1232
/** For how many seconds an answer without texts holds, where it does not say so itself */
const defaultNegativeTtl = 30

/** Asks recursive DNS servers, one after the other */
export class DnsClient {
  readonly #servers: readonly string[]
  readonly #timeout: number

  constructor(init: DnsClientInit) {
    this.#servers = init.servers
    this.#timeout = init.timeout ?? 2000
  }

  /** @throws UnavailableError where no server answers; the reason of the signal where it is aborted */
  async txt(domain: string, options: { signal?: AbortSignal | undefined } = {}): Promise<TxtAnswer> {
    const servers = this.#servers.length > 0 ? this.#servers : getServers()
    const failures: unknown[] = []
    for (const server of Array.from({ length: rounds }, () => servers).flat()) {
      options.signal?.throwIfAborted()
      const signal = AbortSignal.any([
        AbortSignal.timeout(this.#timeout),
        ...(options.signal === undefined ? [] : [options.signal]),
      ])
      try {
        return answerOf(domain, await ask(parseServer(server), domain, signal))
      } catch (err) {
        options.signal?.throwIfAborted()
        failures.push(err)
      }
    }
    throw new UnavailableError(`No DNS server answered for ${domain}`, { cause: failures[0] })
  }
}

/** @returns undefined where the text is not an IP address, with or without a port */
function parseDnsServer(text: string): { address: string; port: number } | undefined {
  if (isIP(text) !== 0) {
    return { address: text, port }
  }
  const [, six, four, digits] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const address = six ?? four
  const number = digits === undefined ? port : Number(digits)
  return address !== undefined && isIP(address) === (six === undefined ? 4 : 6) && number > 0 && number < 65_536
    ? { address, port: number }
    : undefined
}

type Server = NonNullable<ReturnType<typeof parseDnsServer>>

function parseServer(text: string): Server {
  const server = parseDnsServer(text)
  if (server === undefined) {
    throw new UnavailableError(`${text} is not the address of a DNS server`)
  }
  return server
}

async function ask(server: Server, domain: string, signal: AbortSignal): Promise<Packet> {
  const question: Packet = {
    type: 'query',
    id: randomInt(65_536),
    flags: RECURSION_DESIRED,
    questions: [{ type: 'TXT', name: domain }],
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: maxDatagram, flags: 0, data: [] } as unknown as Answer],
  }
  const response = await overUdp(server, question, signal)
  const { rcode } = response.flag_tc
    ? await overTcp(server, question, signal).then(whole => Object.assign(response, whole))
    : response
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') {
    throw new UnavailableError(`DNS server ${server.address} answered ${rcode}`)
  }
  return response
}

/** The socket receives datagrams of this server only; answers to other questions are ignored */
async function overUdp({ address, port }: Server, question: Packet, signal: AbortSignal): Promise<Packet> {
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4')
  const { promise, resolve, reject } = Promise.withResolvers<Packet>()
  const onAbort = (): void => {
    reject(signal.reason)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  socket.on('error', reject)
  socket.on('message', bytes => {
    const packet = parse(bytes)
    if (packet !== undefined && answers(packet, question)) {
      resolve(packet)
    }
  })
  try {
    socket.connect(port, address, () => {
      socket.send(encode(question), err => {
        if (err !== null) {
          reject(err)
        }
      })
    })
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.close()
  }
}

async function overTcp({ address, port }: Server, question: Packet, signal: AbortSignal): Promise<Packet> {
  const socket = connect({ host: address, port, signal })
  try {
    await once(socket, 'connect', { signal })
    const bytes = encode(question)
    // streamEncode of the package would leave out the length
    socket.write(Buffer.from([bytes.length >> 8, bytes.length & 0xff, ...bytes]))
    let received = Buffer.alloc(0)
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer])
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE()) {
        break
      }
    }
    const packet = received.length > 2 ? parse(received.subarray(2, 2 + received.readUInt16BE())) : undefined
    if (packet === undefined || !answers(packet, question)) {
      throw new UnavailableError(`DNS server ${address} did not answer the question`)
    }
    return packet
  } finally {
    socket.destroy()
  }
}

function parse(bytes: Uint8Array): Packet | undefined {
  try {
    return decode(bytes)
  } catch {
    // not DNS: anyone may send anything
    return undefined
  }
}

function answers({ type, id, questions }: Packet, question: Packet): boolean {
  const asked = questions?.[0]
  return (
    type === 'response' &&
    id === question.id &&
    asked?.type === 'TXT' &&
    sameName(asked.name, question.questions![0]!.name)
  )
}

/** The texts of the domain, or of the one that its CNAME records lead to */
function answerOf(domain: string, { answers = [], authorities = [] }: Packet): TxtAnswer {
  let name = domain
  const ttls: number[] = []
  for (let hop = 0; hop <= answers.length; hop++) {
    const texts = answers.filter(answer => answer.type === 'TXT' && sameName(answer.name, name))
    if (texts.length > 0) {
      return { texts: texts.map(({ data }) => textOf(data)), ttl: Math.min(...ttls, ...texts.map(ttlOf)) }
    }
    const alias = answers.find(answer => answer.type === 'CNAME' && sameName(answer.name, name))
    if (alias === undefined) {
      break
    }
    ttls.push(ttlOf(alias))
    name = String(alias.data)
  }
  const soa = authorities.find(answer => answer.type === 'SOA')
  const negative =
    soa === undefined
      ? defaultNegativeTtl
      : Math.min(ttlOf(soa), (soa.data as { minimum?: number }).minimum ?? defaultNegativeTtl)
  return { texts: [], ttl: Math.min(...ttls, negative) }
}

/** The text of one record, which comes in pieces of up to 255 bytes */
function textOf(data: unknown): string {
  return Buffer.concat(
    [data].flat().map(piece => (typeof piece === 'string' ? Buffer.from(piece) : (piece as Uint8Array))),
  ).toString()
}

function ttlOf(answer: Answer): number {
  return (answer as { ttl?: number }).ttl ?? 0
}

function sameName(a: string, b: string): boolean {
  return a.replace(/\.$/, '').toLowerCase() === b.replace(/\.$/, '').toLowerCase()
}
