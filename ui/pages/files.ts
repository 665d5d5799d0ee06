import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import type { ComparedFile, Comparison, ListingRefusal, ShownFile } from '../answers.ts'
import { useAnswer } from '../api.ts'
import { DataTable } from '../parts/data-table.ts'
import { ErrorNotice } from '../parts/notice.ts'
import { count, formatSize, plain } from '../parts/texts.ts'
import { More, Section } from './image-view.ts'

const refusals: Record<ListingRefusal, string> = {
  'too large': 'The layers are larger than what is read for a page.',
  'too many files': 'The layers have more files than a page compares.',
  'unpacks to too much': 'The layers unpack to more than what is read for a page.',
  malformed: 'A layer is no archive that can be read.',
  'not here': 'A layer is not here: it was never pushed, or is fetched only when somebody pulls it.',
  'took too long': 'The layers could not be read in time. Try again when the registry has less to do.',
}

const changes = {
  added: 'added',
  removed: 'removed',
  content: 'changed',
  attributes: 'permissions or owner changed',
}

/** Which files differ between two images; read when somebody asks for it */
export function FileDifferences({
  comparison: { fileBounds, first, second, sizes },
  query,
}: {
  comparison: Comparison
  query: Record<string, string>
}): ComponentChild {
  const [isAsked, setAsked] = useState(false)
  const { again, data, error, isLoading } = useAnswer('compare/files', isAsked ? query : undefined)
  if (first.kind !== 'image' || second.kind !== 'image' || sizes.first + sizes.second === 0) {
    return null
  }
  const bounds = `${formatSize(fileBounds.bytes)} in ${count(fileBounds.entries, 'file')}`
  if (sizes.first + sizes.second > fileBounds.bytes) {
    return h(
      Section,
      { title: 'Files' },
      h('p', { class: 'quiet' }, `Files of layers that differ are listed up to ${bounds}.`),
    )
  }
  const isReading = isAsked && isLoading
  return h(
    Section,
    { title: 'Files' },
    h(
      'div',
      { class: 'tools listing' },
      h(
        'button',
        {
          type: 'button',
          onClick: () => {
            isAsked && !isReading ? again() : setAsked(!isAsked)
          },
        },
        isReading ? 'Cancel' : isAsked ? 'Read them again' : 'List the files that differ',
      ),
      h(
        'p',
        { class: 'quiet', role: 'status' },
        isReading
          ? 'Reading the layers…'
          : isAsked
            ? data && ('files' in data ? summaryOf(data.files.counts) : refusals[data.refusal])
            : `This reads the layers, up to ${bounds}.`,
      ),
    ),
    error !== undefined && h(ErrorNotice, { error, again }),
    isAsked && data !== undefined && 'files' in data && h(Files, data.files),
  )
}

function summaryOf({ added, changed, removed }: { added: number; removed: number; changed: number }): string {
  return added + changed + removed === 0
    ? 'Both have the same files.'
    : `From this image to the other, ${added.toLocaleString('en')} added, ${removed.toLocaleString('en')} removed, ${changed.toLocaleString('en')} changed.`
}

function Files({
  isBaseRead,
  items,
  total,
}: {
  isBaseRead: boolean
  items: ComparedFile[]
  total: number
}): ComponentChild {
  return [
    !isBaseRead &&
      h(
        'p',
        { class: 'quiet', key: 'base' },
        'The layers that both begin with are too large to be read: a file that replaces one of those counts as added or removed.',
      ),
    items.length > 0 &&
      h(DataTable, {
        key: 'files',
        label: 'Files',
        columns: ['File', 'Change', 'Here', 'The other'],
        rows: items.map((file, i) => ({
          key: String(i),
          cells: [
            h('code', {}, h('bdi', {}, plain(file.path))),
            changes[file.change],
            shownText(file.first),
            shownText(file.second),
          ],
        })),
      }),
    h(More, { key: 'more', list: { items, total }, what: 'more file' }),
  ]
}

function shownText(file: ShownFile | undefined): ComponentChild {
  if (file === undefined) {
    return '–'
  }
  if (file.type === 'file') {
    return h('span', { class: 'number' }, formatSize(file.size))
  }
  return file.target === undefined
    ? file.type
    : h('span', {}, `${file.type} to `, h('code', {}, h('bdi', {}, plain(file.target))))
}

/** The files of one layer; read when somebody opens it */
export function LayerFiles({ query, what }: { query: Record<string, string>; what: string }): ComponentChild {
  const [isOpen, setOpen] = useState(false)
  const { again, data, error, isLoading } = useAnswer('files', isOpen ? query : undefined)
  return h(
    'details',
    {
      class: 'layer-files',
      onToggle: (event: Event) => {
        setOpen((event.currentTarget as HTMLDetailsElement).open)
      },
    },
    h('summary', { 'aria-label': `Files of ${what}` }, 'Files'),
    isOpen && isLoading && h('p', { class: 'quiet', role: 'status' }, 'Reading the layer…'),
    isOpen && error !== undefined && h(ErrorNotice, { error, again }),
    isOpen && data !== undefined && 'refusal' in data && h('p', { class: 'quiet' }, refusals[data.refusal]),
    isOpen &&
      data !== undefined &&
      'files' in data && [
        data.files.items.length > 0 &&
          h(DataTable, {
            key: 'files',
            label: `Files of ${what}`,
            columns: ['File', 'What'],
            rows: data.files.items.map((file, i) => ({
              key: String(i),
              cells: [h('code', {}, h('bdi', {}, plain(file.path))), shownText(file)],
            })),
          }),
        h(More, { key: 'more', list: data.files, what: 'more file' }),
        data.files.removed.total > 0 &&
          h(
            'p',
            { key: 'removed' },
            'Removes from the layers below: ',
            data.files.removed.items.map((path, i) => [
              i > 0 && ', ',
              h('code', { key: i }, h('bdi', {}, plain(path))),
            ]),
          ),
        data.files.items.length + data.files.removed.total === 0 &&
          h('p', { key: 'none', class: 'quiet' }, 'It has no files.'),
      ],
  )
}
