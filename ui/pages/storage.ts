import { h, type ComponentChild } from 'preact'
import type { StorageReport } from '../answers.ts'
import { useReport } from '../live.ts'
import { DataTable } from '../parts/data-table.ts'
import { Facts, Part } from '../parts/facts.ts'
import { AdministratorNotice } from '../parts/administrators.ts'
import { Notice } from '../parts/notice.ts'
import { count, formatSize, plain } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'
import { Fsck } from './storage-fsck.ts'
import { GarbageCollection } from './storage-gc.ts'

/** The room that images take, and what keeps them in order */
export function StoragePage(): ComponentChild {
  const { again, data, error } = useReport('storage')
  return h(
    'div',
    {},
    h('h1', {}, 'Storage'),
    error !== undefined && h(AdministratorNotice, { error, again }),
    error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    data !== undefined && h(Storage, { report: data }),
  )
}

function Storage({ report }: { report: StorageReport }): ComponentChild {
  const isReadOnly = report.readOnly !== undefined
  return h(
    'div',
    {},
    report.readOnly !== undefined &&
      h(
        Notice,
        { title: 'The registry takes no writes' },
        h(
          'p',
          {},
          'It is read-only since ',
          h(Time, { at: report.readOnly.since }),
          report.readOnly.reason !== undefined && `: ${plain(report.readOnly.reason)}`,
        ),
      ),
    h(Room, { report }),
    report.quotas.length > 0 && h(Quotas, { quotas: report.quotas }),
    h(GarbageCollection, { work: report.gc, isReadOnly }),
    h(Fsck, { work: report.fsck, isReadOnly }),
    h(Backups, { runs: report.backups.runs }),
    h(Uploads, report.uploads),
  )
}

function Room({ report: { fileSystem, maxBytes, refused, used } }: { report: StorageReport }): ComponentChild {
  const { free, minFree, size } = fileSystem
  // what blocks may still take: the limit, or what the disk has
  const left = Math.max(0, Math.min(free - minFree, maxBytes === undefined ? Infinity : maxBytes - (used ?? 0)))
  return h(
    Part,
    { title: 'Room' },
    h(Facts, {
      facts: [
        [
          'Images take',
          used === undefined ? 'is being counted' : h(Share, { part: used, of: used + left, what: 'Used' }),
        ],
        ['Room for more', formatSize(left)],
        ['Limit', maxBytes === undefined ? 'none but the disk (storage.maxBytes)' : formatSize(maxBytes)],
        ['Disk', `${formatSize(free)} of ${formatSize(size)} are free; ${formatSize(minFree)} stay free`],
        ['Refused', refused === 0 ? undefined : `${count(refused, 'write')} since the start, for lack of room`],
      ],
    }),
  )
}

/** Bytes, and as what part of others */
function Share({ part, of, what }: { part: number; of: number; what: string }): ComponentChild {
  return h(
    'span',
    { class: 'share' },
    h('span', {}, formatSize(part)),
    of > 0 && h('meter', { min: 0, max: of, value: part, 'aria-label': `${what}: ${Math.round((100 * part) / of)} %` }),
  )
}

const kinds = { bytes: 'Bytes', ownBytes: 'Bytes of their own', tags: 'Tags' } as const

function Quotas({ quotas }: Pick<StorageReport, 'quotas'>): ComponentChild {
  return h(
    Part,
    { title: 'Quotas' },
    quotas.map(({ limits, name, used }) =>
      h(
        'div',
        { key: name, class: 'panel' },
        h('h3', {}, limits.repositories.join(', ')),
        h(Facts, {
          facts: (['bytes', 'ownBytes', 'tags'] as const).map(kind => {
            const limit = limits[kind]
            const text = (value: number): string => (kind === 'tags' ? count(value, 'tag') : formatSize(value))
            return [kinds[kind], limit === undefined ? undefined : `${text(used[kind])} of ${text(limit)}`] as const
          }),
        }),
      ),
    ),
  )
}

function Backups({ runs }: Pick<StorageReport['backups'], 'runs'>): ComponentChild {
  return h(
    Part,
    { title: 'Backups' },
    runs.length === 0
      ? h(
          'p',
          { class: 'quiet' },
          'None was made yet, as far as this registry knows. ',
          h('code', {}, 'ipdr backup'),
          ' makes one.',
        )
      : h(
          'ul',
          { class: 'rows' },
          runs.map(({ result, started }) =>
            h(
              'li',
              { key: started, class: 'row' },
              h('div', { class: 'row-name' }, h(Time, { at: started })),
              h('div', { class: 'row-count quiet' }, result && formatSize(result.bytes)),
              h(
                'div',
                { class: 'row-facts quiet' },
                result &&
                  result.without > 0 &&
                  h('span', {}, `added to an earlier one of ${count(result.without, 'block')}`),
                result &&
                  result.leftOut > 0 &&
                  h('span', { class: 'bad' }, `lacks ${count(result.leftOut, 'damaged file')}`),
                h('code', {}, result?.root),
              ),
            ),
          ),
        ),
  )
}

function Uploads({ items, total }: StorageReport['uploads']): ComponentChild {
  if (total === 0) {
    return h(Part, { title: 'Open uploads' }, h('p', { class: 'quiet' }, 'None.'))
  }
  return h(
    Part,
    { title: 'Open uploads' },
    h(
      'p',
      { class: 'quiet' },
      `${count(total, 'upload')}${items.length < total ? `, of which ${items.length} are listed` : ''}`,
    ),
    h(DataTable, {
      label: 'Open uploads',
      columns: ['Repository', 'By', 'Received', 'Begun', 'Last written'],
      numbers: ['Received'],
      rows: items.map(({ owner, repository, size, started, updated }, i) => ({
        key: `${repository} ${started} ${i}`,
        cells: [
          repository,
          owner === undefined ? '–' : h('bdi', {}, plain(owner)),
          formatSize(size),
          h(Time, { at: started }),
          h(Time, { at: updated }),
        ],
      })),
    }),
  )
}
