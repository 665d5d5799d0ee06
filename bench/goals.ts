import { busyName } from './cases/busy.ts'
import { decisionName, kinds, withToken } from './cases/access.ts'
import { unfinished } from './cases/hostile.ts'
import { pageMeasure, pageTimes } from './cases/pages.ts'
import { MiB } from './options.ts'
import { worstManifests } from './worst-manifests.ts'

/** What the figures have to show. A goal names a measure exactly, and what is asked of our median. */
export interface Goal {
  /** Name of the measure */
  measure: string
  /** At least so many times as good as this target */
  versus?: { target: string; times: number }
  /** At most this, in the unit of the measure */
  atMost?: number
  /** At least this, in the unit of the measure */
  atLeast?: number
  aim?: string
}

export const goals: Goal[] = [
  { measure: 'push 256 MiB, 1 client', versus: { target: 'distribution', times: 1 } },
  { measure: 'push 256 MiB, 1 client', versus: { target: 'zot', times: 0.9 } },
  ...['4 clients', '16 clients'].map(clients => ({
    measure: `push 256 MiB, ${clients}`,
    versus: { target: 'distribution', times: 0.9 },
  })),
  ...['1 MiB', '16 MiB'].map(size => ({
    measure: `push ${size}, 1 client`,
    versus: { target: 'distribution', times: 0.9 },
  })),
  ...['1 MiB', '16 MiB', '256 MiB'].flatMap(size =>
    ['1 client', '4 clients'].flatMap(clients =>
      ['distribution', 'zot'].map(target => ({
        measure: `pull ${size}, ${clients}`,
        versus: { target, times: 1 },
      })),
    ),
  ),
  ...(['push', 'pull'] as const).map(what => ({
    measure: busyName(what, 256 * MiB),
    versus: { target: 'distribution', times: 0.85 },
  })),
  // of processor time, where less is better: at most 1.15 and 0.9 times
  { measure: 'processor time of a push', versus: { target: 'distribution', times: 0.87 } },
  { measure: 'processor time of a pull', versus: { target: 'distribution', times: 1.11 } },
  ...['GET', 'HEAD'].flatMap(method =>
    ['1 connection', '32 connections', '256 connections'].flatMap(connections => [
      { measure: `manifest ${method}, ${connections}`, versus: { target: 'distribution', times: 2 } },
      { measure: `manifest ${method}, ${connections}`, versus: { target: 'zot', times: 0.8 }, aim: '1.0' },
    ]),
  ),
  { measure: 'node to node, 512 MiB', versus: { target: 'kubo', times: 1 } },
  { measure: 'first byte from another node, 512 MiB', atMost: 100 },
  ...['offline', 'lan'].map(network => ({ measure: `start to ready, 1000000 blocks, ${network}`, atMost: 1.5 })),
  ...['tags', 'catalog'].flatMap(list =>
    ['start', 'middle'].map(place => ({
      measure: `page of ${list} from the ${place}: 100000 entries beside 1000`,
      atMost: 1.5,
    })),
  ),
  ...['push', 'pull'].map(what => ({
    measure: `resident memory, above idle at most: ${what} 10 GiB, 1 client`,
    atMost: 100,
  })),
  ...['16 MiB', '256 MiB'].map(size => ({ measure: `disk for blobs of ${size}`, atMost: 1.005 })),
  { measure: 'manifest GET during 4 pushes: p99', atMost: 20 },
  ...unfinished.map(({ name }) => ({ measure: `resident memory, above idle at most: ${name}`, atMost: 64 })),
  ...Object.keys(worstManifests).map(name => ({
    measure: `longest GET of /livez during a PUT of ${name}`,
    atMost: 50,
  })),
  ...kinds.map(kind => ({ measure: decisionName(kind), atMost: 2 })),
  { measure: withToken, atLeast: 0.9 },
  ...pageTimes.map(what => ({ measure: pageMeasure(what), atMost: 1.5 })),
]
