/**
 * TXT records with their TTL, which `node:dns` does not tell
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
  /** `<ip>` or `<ip>:<port>`, IPv6 with a port in brackets; empty: the system's, read anew for each question */
  servers: readonly string[]
  /**
   * How long one server is waited for, before the next is asked; milliseconds
   *
   * @default 2000
   */
  timeout?: number
}

/** What DNS says; without texts where the domain, or a TXT record of it, does not exist */
export interface TxtAnswer {
  texts: string[]
  /** Seconds, also for the answer that there is none */
  ttl: number
}

const port = 53
/** Every server is asked this often before all of them count as unreachable */
const rounds = 2
/** What a datagram may hold without being cut into pieces on its way */
const maxDatagram = 1232
/** Of an answer that says that there is none, without saying for how long */
const defaultNegativeTtl = 30

/** Asks recursive DNS servers */
export class DnsClient {
  readonly #servers: readonly string[]
  readonly #timeout: number

  constructor(init: DnsClientInit) {
    this.#servers = init.servers
    this.#timeout = init.timeout ?? 2000
  }

  /** @throws UnavailableError where no server gives an answer, or what the signal was aborted with */
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
    throw new UnavailableError(`No DNS server answers a question for ${domain}`, { cause: failures[0] })
  }
}

/** @returns undefined where the text is no IP address with or without a port */
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
    throw new UnavailableError(`${text} is no address of a DNS server`)
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
    throw new UnavailableError(`DNS server ${server.address} says ${rcode}`)
  }
  return response
}

/** The socket takes datagrams of this server alone, and those that answer another question are passed over */
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
        if (err != null) {
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
    // not by streamEncode of the package, which forgets the length
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
      throw new UnavailableError(`DNS server ${address} answers with something else`)
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
    // anybody may send anything
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

/** Texts of the domain, or of the one that its CNAME records lead to */
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

/** One record may come in pieces of 255 bytes */
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
