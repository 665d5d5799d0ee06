import { h, type ComponentChild } from 'preact'
import type { CollectionResult, Run, StorageReport } from '../answers.ts'
import { Part } from '../parts/facts.ts'
import { Runs, schedule, WorkButtons } from '../parts/runs.ts'
import { count, formatSize } from '../parts/texts.ts'

/** What garbage collection would free, and what it did */
export function GarbageCollection({
  work,
  isReadOnly,
}: {
  work: StorageReport['gc']
  isReadOnly: boolean
}): ComponentChild {
  return h(
    Part,
    { title: 'Garbage collection' },
    h('p', { class: 'quiet' }, `It deletes what no image needs any more. ${schedule(work.interval)}`),
    h(WorkButtons, {
      name: 'gc',
      current: work.current,
      actions: [
        { title: 'See what it would free', request: { dryRun: true } },
        { title: 'Collect garbage now', request: { dryRun: false }, isRefused: isReadOnly },
      ],
      progress: ({ blocks = 0, bytes = 0, phase, roots = 0 }) =>
        phase === 'sweep'
          ? `${count(blocks, 'block')} deleted, ${formatSize(bytes)}`
          : `${count(roots, 'image')} looked at`,
      told: result => sentence(result as unknown as CollectionResult),
    }),
    h(Runs<CollectionResult>, {
      runs: work.runs,
      text: (run: Run<CollectionResult>) => run.result && sentence(run.result),
    }),
  )
}

function sentence({ blocks, bytes, dryRun, manifests }: CollectionResult): string {
  const what = `${formatSize(bytes)} in ${count(blocks, 'block')}${manifests > 0 ? `, of ${count(manifests, 'image')}` : ''}`
  if (blocks === 0 && manifests === 0) {
    return dryRun ? 'It would free nothing now.' : 'There was nothing to free.'
  }
  return dryRun ? `It would free ${what}.` : `It freed ${what}.`
}
