import { h, type ComponentChild } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { TagLine } from '../answers.ts'
import { Copyable } from '../parts/copy.ts'
import { DataTable } from '../parts/data-table.ts'
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
  const selection = { selected, setSelected }
  return h(DataTable, {
    label: 'Tags',
    columns: ['Tag', 'Pushed', 'Size', 'Platforms', 'Digest'],
    numbers: ['Size'],
    selectAll: deletable.length === 0 ? undefined : h(SelectAll, { tags: deletable, ...selection }),
    rows: tags.map(line => ({
      key: line.tag,
      cells: cellsOf(line, repository),
      select: line.mayDelete && !line.isImmutable && h(SelectOne, { tag: line.tag, ...selection }),
    })),
  })
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

function cellsOf(
  { digest, isImmutable, platforms = [], size, tag, updated }: TagLine,
  repository: string,
): readonly ComponentChild[] {
  return [
    [h('a', { href: linkTo(repository, tag) }, tag), isImmutable && h('span', { class: 'badge quiet' }, 'immutable')],
    h(Time, { at: updated }),
    size === undefined ? '–' : formatSize(size),
    platforms.length === 0 ? '–' : platforms.join(', '),
    digest === undefined
      ? '–'
      : h(Copyable, { text: digest, what: `the digest of ${tag}`, shown: shortDigest(digest) }),
  ]
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
