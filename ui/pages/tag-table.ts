import { h, type ComponentChild } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { TagLine } from '../answers.ts'
import { Copyable } from '../parts/copy.ts'
import { formatSize, shortDigest } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'
import { linkTo } from '../router.ts'

interface SelectionProps {
  selected: ReadonlySet<string>
  setSelected: (tags: ReadonlySet<string>) => void
}

/** Tags of a repository; who may delete some of them can select these */
export function TagTable({
  repository,
  selected,
  setSelected,
  tags,
}: { repository: string; tags: readonly TagLine[] } & SelectionProps): ComponentChild {
  const deletable = tags.filter(({ isImmutable, mayDelete }) => mayDelete && !isImmutable).map(({ tag }) => tag)
  const isSelectable = deletable.length > 0
  return h(
    'table',
    { class: isSelectable ? 'list selectable' : 'list' },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        isSelectable && h('td', { class: 'select' }, h(SelectAll, { tags: deletable, selected, setSelected })),
        ['Tag', 'Pushed', 'Size', 'Platforms', 'Digest'].map(name => h('th', { key: name, scope: 'col' }, name)),
      ),
    ),
    h(
      'tbody',
      {},
      tags.map(line =>
        h(TagRow, { key: line.tag, line, repository, selection: isSelectable ? { selected, setSelected } : undefined }),
      ),
    ),
  )
}

function SelectAll({ selected, setSelected, tags }: { tags: readonly string[] } & SelectionProps): ComponentChild {
  const box = useRef<HTMLInputElement>(null)
  const here = tags.filter(tag => selected.has(tag)).length
  useEffect(() => {
    box.current!.indeterminate = here > 0 && here < tags.length
  }, [here, tags.length])
  return h('input', {
    ref: box,
    type: 'checkbox',
    'aria-label': 'Select all tags on this page',
    checked: here === tags.length,
    onChange: () => {
      setSelected(
        new Set(here === tags.length ? [...selected].filter(tag => !tags.includes(tag)) : [...selected, ...tags]),
      )
    },
  })
}

function TagRow({
  line: { digest, isImmutable, mayDelete, platforms = [], size, tag, updated },
  repository,
  selection,
}: {
  line: TagLine
  repository: string
  selection: SelectionProps | undefined
}): ComponentChild {
  return h(
    'tr',
    {},
    selection !== undefined &&
      h('td', { class: 'select' }, mayDelete && !isImmutable && h(SelectOne, { tag, ...selection })),
    h(
      'th',
      { scope: 'row' },
      h('a', { href: linkTo(repository, tag) }, tag),
      isImmutable && h('span', { class: 'badge quiet' }, 'immutable'),
    ),
    h('td', { 'data-name': 'Pushed' }, h(Time, { at: updated })),
    h('td', { 'data-name': 'Size', class: 'number' }, size === undefined ? '–' : formatSize(size)),
    h('td', { 'data-name': 'Platforms' }, platforms.length === 0 ? '–' : platforms.join(', ')),
    h(
      'td',
      { 'data-name': 'Digest' },
      digest === undefined
        ? '–'
        : h(Copyable, { text: digest, what: `the digest of ${tag}`, shown: shortDigest(digest) }),
    ),
  )
}

function SelectOne({ selected, setSelected, tag }: { tag: string } & SelectionProps): ComponentChild {
  return h('input', {
    type: 'checkbox',
    'aria-label': `Select ${tag}`,
    checked: selected.has(tag),
    onChange: () => {
      const next = new Set(selected)
      if (!next.delete(tag)) {
        next.add(tag)
      }
      setSelected(next)
    },
  })
}
