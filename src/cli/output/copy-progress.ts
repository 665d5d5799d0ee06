import type { CopyProgress } from '../../client/images/copy-image.ts'
import type { CliContext } from '../process/context.ts'
import { formatSize } from './table.ts'

/** Between two drawings while bytes are copied; milliseconds */
const interval = 200
/** Moves the cursor to the beginning of the line and clears it */
const clearLine = '\r\x1b[K'

export interface ShownProgress extends CopyProgress, Disposable {}

/** Draws a line on the terminal that says how far a copy is; draws nothing if standard error is not a terminal */
export function showCopyProgress({ stderr }: CliContext, { silent }: { silent: boolean }): ShownProgress {
  if (silent || !('isTTY' in stderr) || stderr.isTTY !== true) {
    return { [Symbol.dispose]: () => {} }
  }
  const counts = { blobs: 0, skipped: 0, bytes: 0 }
  let drawn = 0
  const draw = (): void => {
    drawn = performance.now()
    const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} exist already`
    stderr.write(`${clearLine}${counts.blobs} blobs, ${formatSize(counts.bytes)}${skipped}`)
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
      stderr.write(clearLine)
    },
  }
}
