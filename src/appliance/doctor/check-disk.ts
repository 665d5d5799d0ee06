import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config } from '../../config/schema.ts'
import { bytesLeftFree } from '../../ipfs/blockstore/storage-space.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

/** What a file system tells of itself; only the fields that are used */
export interface FileSystemStats {
  type: number
  bsize: number
  blocks: number
  bavail: number
  files: number
  ffree: number
}

type Kind = 'local' | 'memory' | 'network' | 'container'

const mebibyte = 2 ** 20
const gibibyte = 2 ** 30
/** Below these shares of the file system there is a warning */
const [scarceSpace, scarceFiles] = [0.05, 0.05]
/** A push makes a file for each block of a MiB or so */
const leastFiles = 1000

/**
 * By the numbers of `statfs`
 *
 * @see https://man7.org/linux/man-pages/man2/statfs.2.html
 */
const kinds = new Map<number, [name: string, kind: Kind]>([
  [0x0102_1994, ['tmpfs', 'memory']],
  [0x8584_58f6, ['ramfs', 'memory']],
  [0x6969, ['NFS', 'network']],
  [0xff53_4d42, ['CIFS', 'network']],
  [0xfe53_4d42, ['SMB', 'network']],
  [0x517b, ['SMB', 'network']],
  [0x0102_1997, ['9p', 'network']],
  [0x00c3_6400, ['Ceph', 'network']],
  [0x5346_414f, ['AFS', 'network']],
  [0x0bd0_0bd3, ['Lustre', 'network']],
  [0x6573_5546, ['FUSE', 'network']],
  [0x794c_7630, ['overlayfs', 'container']],
  [0xef53, ['ext4', 'local']],
  [0x5846_5342, ['XFS', 'local']],
  [0x9123_683e, ['Btrfs', 'local']],
  [0x2fc1_2fc1, ['ZFS', 'local']],
  [0xf2f5_2010, ['F2FS', 'local']],
])

const adviceFor: Record<Exclude<Kind, 'local'>, { found: string; advice: string }> = {
  memory: {
    found: 'which is in memory: all images are gone after a restart of the machine',
    advice: 'Name a directory on a disk with --data-dir or dataDir.',
  },
  network: {
    found: 'which may be on another machine: locks and fsync do not work on all of them, and each push waits for it',
    advice: 'Prefer a local disk or a block device for dataDir. Never let two servers use one directory.',
  },
  container: {
    found: 'which belongs to the container: all images are gone once it is removed',
    advice: 'Mount a volume at the data directory, as docker-compose.yml does.',
  },
}

/** @returns what its file system tells of a directory, or of the one that it would be made in */
export async function fileSystemOf(path: string): Promise<FileSystemStats> {
  try {
    return await statfs(path)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) {
      throw err
    }
    return await fileSystemOf(dirname(path))
  }
}

/** Looks at kind, free space and free inodes of a file system */
export function checkDisk(stats: FileSystemStats, storage: Pick<Config['storage'], 'maxBytes' | 'minFree'>): Finding[] {
  return [kindOf(stats), ...freeSpace(stats, storage), ...freeFiles(stats)]
}

function kindOf({ type }: FileSystemStats): Finding {
  const check = 'file system'
  // Node may give a number above 2^31 as a negative one
  const [name, kind] = kinds.get(type >>> 0) ?? [`of type 0x${(type >>> 0).toString(16)}`, 'local']
  if (kind === 'local') {
    return ok(check, name)
  }
  const { advice, found } = adviceFor[kind]
  return warning(check, `${name}, ${found}`, advice)
}

function freeSpace(
  { bavail, blocks, bsize }: FileSystemStats,
  { maxBytes, minFree }: Pick<Config['storage'], 'maxBytes' | 'minFree'>,
): Finding[] {
  const check = 'free space'
  const [size, free] = [blocks * bsize, bavail * bsize]
  const left = bytesLeftFree(size, minFree)
  const found = `${sizeText(free)} of ${sizeText(size)}, of which pushes leave ${sizeText(left)} free`
  const findings =
    free <= left
      ? [wrong(check, `${found}: pushes are refused`, 'Delete images and run ipdr gc, or use a larger disk.')]
      : free - left < Math.min(size * scarceSpace, gibibyte)
        ? [
            warning(
              check,
              `${found}: pushes will soon be refused`,
              'Delete images and run ipdr gc, or use a larger disk.',
            ),
          ]
        : [ok(check, found)]
  if (maxBytes !== undefined && maxBytes > size - left) {
    findings.push(
      warning(
        check,
        `storage.maxBytes is ${sizeText(maxBytes)}, more than the file system can hold beside what stays free`,
        `Set it to ${Math.max(0, Math.floor((size - left) / mebibyte))}MiB or less.`,
      ),
    )
  }
  return findings
}

function freeFiles({ ffree, files }: FileSystemStats): Finding[] {
  const check = 'inodes'
  // Btrfs and others have no fixed number
  if (files === 0) {
    return []
  }
  const found = `${ffree} of ${files} free`
  const advice = 'Each block is a file: delete images and run ipdr gc, or make a file system with more inodes.'
  return [
    ffree < leastFiles
      ? wrong(check, `${found}: pushes will fail`, advice)
      : ffree < files * scarceFiles
        ? warning(check, found, advice)
        : ok(check, found),
  ]
}

function sizeText(bytes: number): string {
  return bytes < gibibyte ? `${(bytes / mebibyte).toFixed(1)} MiB` : `${(bytes / gibibyte).toFixed(1)} GiB`
}
