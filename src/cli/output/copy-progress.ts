import type { CliContext } from '../process/context.ts'
import type { CopyProgress } from '../../client/images/copy-image.ts'

const second = 1000
const interval = 0.2 * second
const MiB = 1024 * 1024

export interface Progress extends CopyProgress, Disposable {}

/** A line on a terminal that says how far a copy is; nothing where standard error is none */
export function showProgress({ stderr }: CliContext, { silent }: { silent: boolean }): Progress {
  if (silent || !('isTTY' in stderr) || stderr.isTTY !== true) {
    return { [Symbol.dispose]: () => {} }
  }
  const counts = { blobs: 0, skipped: 0, bytes: 0 }
  let drawn = 0
  const draw = (): void => {
    drawn = performance.now()
    stderr.write(
      `\r\x1b[K${counts.blobs} blobs, ${(counts.bytes / MiB).toFixed(1)} MiB${counts.skipped === 0 ? '' : `, ${counts.skipped} already there`}`,
    )
  }
  return {
    blob: (_, exists) => {
      counts.blobs++
      counts.skipped += exists ? 1 : 0
      draw()
    },
    bytes: count => {
      counts.bytes += count
      if (performance.now() - drawn > interval) {
        draw()
      }
    },
    [Symbol.dispose]: () => {
      stderr.write('\r\x1b[K')
    },
  }
}
