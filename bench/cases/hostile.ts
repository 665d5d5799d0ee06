import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { CertificateAuthority } from '../../test/fixtures/certificates.ts'
import type { Bench, Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { MiB } from '../options.ts'
import { memory, resetPeak, settle } from '../process-usage.ts'
import { Server } from '../server.ts'
import { manifestType, pushSmallImage } from '../small-image.ts'
import type { Launcher } from '../targets/target.ts'
import { subject, worstManifests } from '../worst-manifests.ts'

const clients = 200
const manifestBytes = 4 * MiB
/** All but the last byte */
const unfinishedBody = Buffer.alloc(manifestBytes - 1, ' ')
const probeInterval = 5
const second = 1000
const repository = 'bench/hostile'

interface Unfinished {
  name: string
  tls: boolean
  /** @returns what ends them */
  send: (port: number) => Promise<() => void>
}

/** What a server has to bear: {@link clients} manifests that lack their last byte */
export const unfinished: Unfinished[] = [
  {
    name: `${clients} unfinished manifests, HTTP/1.1, one address`,
    tls: false,
    send: async port => await sendPlain(port, () => '127.0.0.1'),
  },
  {
    name: `${clients} unfinished manifests, HTTP/1.1, ${clients} addresses`,
    tls: false,
    send: async port => await sendPlain(port, i => `127.0.1.${i + 1}`),
  },
  {
    name: `${clients} unfinished manifests, HTTP/2, two connections`,
    tls: true,
    send: async port => await sendHttp2(port, 2, () => '127.0.0.1'),
  },
  {
    name: `${clients} unfinished manifests, HTTP/2, ${clients} addresses`,
    tls: true,
    send: async port => await sendHttp2(port, clients, i => `127.0.1.${i + 1}`),
  },
]

/** What a stranger costs others: memory by bodies that never end, and time by bodies that take long to read */
export const hostile: Case = {
  name: 'hostile',
  run: async bench => {
    const launchers = bench.launchers('ipdr', 'before')
    await bench.inTurn(
      launchers,
      async launcher => [...(await memorySamples(bench, launcher)), ...(await latencySamples(bench, launcher))],
      { warmUp: false },
    )
  },
}

async function memorySamples(bench: Bench, launcher: Launcher): Promise<Sample[]> {
  const folder = await bench.folder('certificates')
  const certificate = await (await CertificateAuthority.create(folder)).issue('server')
  const samples: Sample[] = []
  for (const { name, tls, send } of unfinished) {
    const server = await Server.start(launcher, await bench.folder(launcher.name), {
      publish: false,
      ...(tls ? { tls: certificate } : {}),
    })
    try {
      await settle(server.pid)
      const idle = (await memory(server.pid)).now
      await resetPeak(server.pid)
      const end = await send(Number(new URL(server.base).port))
      await sleep(5 * second)
      samples.push([
        measure(`resident memory, above idle at most: ${name}`, 'MiB'),
        ((await memory(server.pid)).peak - idle) / MiB,
      ])
      end()
    } finally {
      await server.remove()
    }
  }
  return samples
}

async function sendPlain(port: number, address: (i: number) => string): Promise<() => void> {
  const sockets = await Promise.all(
    Array.from({ length: clients }, async (_, i) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: address(i) })
        .on('error', () => {})
        .resume()
      await once(socket, 'connect')
      socket.write(
        `PUT /v2/${repository}/manifests/t${i} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${manifestType}\r\nContent-Length: ${manifestBytes}\r\n\r\n`,
      )
      socket.write(unfinishedBody)
      return socket
    }),
  )
  return () => {
    sockets.forEach(socket => {
      socket.destroy()
    })
  }
}

async function sendHttp2(port: number, connections: number, address: (i: number) => string): Promise<() => void> {
  const sessions = await Promise.all(
    Array.from({ length: connections }, async (_, i) => {
      const socket: Socket = connect({ port, host: '127.0.0.1', localAddress: address(i) }).on('error', () => {})
      const session: ClientHttp2Session = connectHttp2('https://localhost', {
        createConnection: () =>
          connectTls({ socket, servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
      }).on('error', () => {})
      await once(session, 'connect')
      for (let stream = 0; stream < clients / connections; stream++) {
        const headers = {
          ':method': 'PUT',
          ':path': `/v2/${repository}/manifests/t${i}-${stream}`,
          'content-type': manifestType,
          'content-length': manifestBytes,
        }
        session
          .request(headers, { endStream: false })
          .on('error', () => {})
          .resume()
          .write(unfinishedBody)
      }
      return session
    }),
  )
  return () => {
    sessions.forEach(session => {
      session.destroy()
    })
  }
}

async function latencySamples(bench: Bench, launcher: Launcher): Promise<Sample[]> {
  const server = await Server.start(launcher, await bench.folder(launcher.name), { publish: false })
  try {
    await pushSmallImage(server.base, repository, 'latest')
    await pushEmpty(server.base)
    const samples: Sample[] = []
    for (const [name, make] of Object.entries(worstManifests)) {
      const body = Buffer.from(make())
      const longest = await longestProbe(server.base, async () => {
        await ask('PUT', `${server.base}/v2/${repository}/manifests/worst`, body)
        await ask('GET', `${server.base}/v2/${repository}/referrers/${subject}`)
      })
      samples.push([measure(`longest GET of /livez during a PUT of ${name}`, 'ms'), longest])
    }
    return samples
  } finally {
    await server.remove()
  }
}

/**
 * @returns milliseconds of the slowest of many small requests, each sent when it is due, over connections that are kept
 */
async function longestProbe(base: string, work: () => Promise<void>): Promise<number> {
  const agent = new Agent({ keepAlive: true })
  let longest = 0
  const pending = new Set<Promise<void>>()
  const probe = (): void => {
    const began = performance.now()
    const answered = ask('GET', `${base}/livez`, undefined, agent).then(() => {
      longest = Math.max(longest, performance.now() - began)
    })
    pending.add(answered)
    void answered.finally(() => pending.delete(answered))
  }
  await ask('GET', `${base}/livez`, undefined, agent)
  const timer = setInterval(probe, probeInterval)
  try {
    await sleep(100)
    longest = 0
    await work()
    await sleep(100)
  } finally {
    clearInterval(timer)
    await Promise.all(pending)
    agent.destroy()
  }
  return longest
}

async function ask(method: string, url: string, body?: Uint8Array, agent?: Agent): Promise<number> {
  const req = request(url, {
    method,
    agent: agent ?? false,
    headers: body === undefined ? {} : { 'Content-Type': manifestType, 'Content-Length': body.byteLength },
  })
  req.end(body)
  const [res] = await once(req, 'response')
  res.resume()
  await once(res, 'end')
  return res.statusCode
}

async function pushEmpty(base: string): Promise<void> {
  const started = await fetch(`${base}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const target = new URL(started.headers.get('Location')!, base)
  target.searchParams.set('digest', 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
  await fetch(target, { method: 'PUT', body: '{}' })
}

function measure(name: string, unit: string): Measure {
  return { case: 'hostile', name, unit, better: 'lower' }
}
