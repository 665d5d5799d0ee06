import { readFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import type { Config } from '../../config/schema.ts'
import { defaultMaxConnections } from '../../ipfs/node/peer-limits.ts'
import { type Finding, ok, warning } from './finding.ts'

const mebibyte = 2 ** 20
/** Files that a server has open beside connections: those of two databases, of uploads and of blocks that are read */
const otherFiles = 1024
/** Bytes that a server takes before anybody asks it for anything, rounded up */
const baseMemory = 256 * mebibyte

/**
 * Compares how many files the server may open with the connections that `limits` allow
 *
 * @param process the server, if it is known; else what this process may open stands for it
 */
export async function checkOpenFiles({ limits, network }: Config, process: number | undefined): Promise<Finding> {
  const check = 'open files'
  const most = openFilesIn(await readFile(`/proc/${process ?? 'self'}/limits`, 'utf8').catch(() => ''))
  if (most === undefined) {
    return ok(check, 'this system does not tell how many files a process may open')
  }
  const peers = network === 'offline' ? 0 : (limits.peers ?? defaultMaxConnections[network])
  const needed = limits.connections + peers + otherFiles
  const whose = process === undefined ? 'a process started from here' : `the server (process ${process})`
  return most >= needed
    ? ok(check, `${whose} may open ${most}, and the limits need ${needed}`)
    : warning(
        check,
        `${whose} may open ${most}, but limits.connections and limits.peers allow as many as need ${needed}`,
        `Raise it (ulimit -n ${needed}; LimitNOFILE= of systemd; --ulimit nofile=${needed} of docker), ` +
          'or lower limits.connections.',
      )
}

/**
 * What a process may open: Node raises its limit to the hard one when it starts
 *
 * @param text as of `/proc/<pid>/limits`
 * @returns undefined where the text does not say it
 */
export function openFilesIn(text: string): number | undefined {
  const [, hard] = /^Max open files +\S+ +(\d+|unlimited)/m.exec(text) ?? []
  return hard === undefined ? undefined : hard === 'unlimited' ? Infinity : Number(hard)
}

/** @param memory bytes that the server may have. @default those of the machine, or of the container if that has less */
export function checkMemory(
  { limits, network }: Config,
  memory: number = Math.min(totalmem(), process.constrainedMemory() || Infinity),
): Finding {
  const check = 'memory'
  const wanted = baseMemory + limits.bodyMemory + (network === 'offline' ? 0 : limits.peerBytes)
  const [has, needs] = [memory, wanted].map(bytes => `${Math.round(bytes / mebibyte)} MiB`)
  return memory >= wanted
    ? ok(check, `${has}; the limits allow the server about ${needs}`)
    : warning(
        check,
        `${has}, but the limits allow the server about ${needs}`,
        'Give the machine or container more memory, or lower limits.bodyMemory and limits.peerBytes.',
      )
}
