import { h, type ComponentChild } from 'preact'
import type { FsckSummary, Run, StorageReport } from '../answers.ts'
import { Part } from '../parts/facts.ts'
import { ImageLink } from '../parts/image-link.ts'
import { Runs, schedule, WorkButtons } from '../parts/runs.ts'
import { count, formatSize } from '../parts/texts.ts'
import { linkTo } from '../router.ts'

/** What the last fsck found, and images that it could not repair */
export function Fsck({ work, isReadOnly }: { work: StorageReport['fsck']; isReadOnly: boolean }): ComponentChild {
  const last = work.runs.find(({ result }) => result !== undefined)?.result
  return h(
    Part,
    { title: 'Fsck' },
    h(
      'p',
      { class: 'quiet' },
      `It reads everything that is stored and compares it with its digests and CIDs. ${schedule(work.interval)}`,
    ),
    h(WorkButtons, {
      name: 'fsck',
      current: work.current,
      actions: [
        { title: 'Check only', request: { repair: false } },
        { title: 'Check and repair', request: { repair: true }, isRefused: isReadOnly },
      ],
      progress: ({ bad = 0, blocks = 0, bytes = 0 }) =>
        `${count(blocks, 'block')} read, ${formatSize(bytes)}${bad > 0 ? `, ${bad} damaged or missing` : ''}`,
      told: result => sentence(result as unknown as FsckSummary),
    }),
    last !== undefined && last.affected > 0 && h(Affected, { last }),
    h(Runs<FsckSummary>, { runs: work.runs, text: (run: Run<FsckSummary>) => run.result && sentence(run.result) }),
  )
}

function Affected({ last: { affected, images } }: { last: FsckSummary }): ComponentChild {
  return h(
    'div',
    { class: 'notice' },
    h('h3', {}, `${count(affected, 'image')} can’t be pulled whole`),
    h('p', {}, 'Push them again, or connect a node that has them and run fsck once more.'),
    h(
      'ul',
      {},
      images.map(({ digest, repository, tags }) =>
        h(
          'li',
          { key: `${repository} ${digest}` },
          h(ImageLink, {
            href: linkTo(repository, digest),
            text: `${repository}${tags[0] === undefined ? '' : `:${tags[0]}`}`,
          }),
        ),
      ),
    ),
  )
}

function sentence({ blocks, bytes, damaged, missing, others, repaired, unneeded }: FsckSummary): string {
  const read = `${count(blocks, 'block')} are right, ${formatSize(bytes)}`
  const found = [
    damaged > 0 && `${damaged} damaged`,
    missing > 0 && `${missing} missing`,
    repaired > 0 && `${repaired} repaired`,
    unneeded > 0 && `${unneeded} damaged that nothing needs`,
    others > 0 && count(others, 'other problem'),
  ].filter(text => text !== false)
  return found.length === 0 ? `All ${read}.` : `${found.join(', ')}; ${read}.`
}
