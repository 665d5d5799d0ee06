import type { CopyProgress } from '../../client/images/copy-image.ts'
import type { CliContext } from '../process/context.ts'
import { showProgress } from './progress.ts'

/** A short copy says nothing where there is no terminal; milliseconds */
const quietFor = 10_000

export interface ShownCopy extends CopyProgress, Disposable {
  /** To be called when it is known where the image comes from */
  from: (source: string) => void
}

/** Shows how far the copy of an image is */
export function showCopyProgress(context: CliContext, { silent }: { silent: boolean }): ShownCopy {
  const shown = showProgress(context, { silent, quietFor })
  const counts = { blobs: 0, skipped: 0, bytes: 0, total: 0 }
  let source: string | undefined
  const show = (): void => {
    const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} exist already`
    const { bytes, total } = counts
    shown.show({ text: `${counts.blobs} blobs${skipped}`, bytes, total: total > 0 ? total : undefined, source })
  }
  return {
    from: where => {
      source = where
    },
    found: bytes => {
      counts.total += bytes
    },
    blob: ({ size }, exists) => {
      counts.blobs++
      counts.skipped += exists ? 1 : 0
      counts.total -= exists ? size : 0
      show()
    },
    bytes: count => {
      counts.bytes += count
      show()
    },
    [Symbol.dispose]: () => {
      shown[Symbol.dispose]()
    },
  }
}
