import type { Stats } from 'node:fs'

/** Permissions of what only the owner may read or write */
export const ownerOnly = { directory: 0o700, file: 0o600 }

const others = 0o077

export function isOpenToOthers({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & others) !== 0
}

/** What others than the owner may do, for the log, such as `group 100: rx, everyone: x` */
export function describeOthers({ gid, mode }: Pick<Stats, 'gid' | 'mode'>): string {
  const rights = (bits: number): string => ['r', 'w', 'x'].filter((_, i) => (bits & (4 >> i)) !== 0).join('')
  return [
    [`group ${gid}`, rights(mode >> 3)],
    ['everyone', rights(mode)],
  ]
    .filter(([, may]) => may !== '')
    .map(([who, may]) => `${who}: ${may}`)
    .join(', ')
}
