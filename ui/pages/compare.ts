import { h, type ComponentChild } from 'preact'
import type { ComparedLayer, Comparison, ImageDifferences } from '../answers.ts'
import { useAnswer } from '../api.ts'
import { DataTable } from '../parts/data-table.ts'
import { Field } from '../parts/field.ts'
import { ErrorNotice, Notice } from '../parts/notice.ts'
import { Path } from '../parts/path.ts'
import { count, formatSize, plain, shortDigest } from '../parts/texts.ts'
import { linkTo, type Route } from '../router.ts'
import { FileDifferences } from './files.ts'
import { More, Section } from './image-view.ts'
import { instruction } from './layers.ts'

/** Tags that are proposed */
const proposed = 12
const settingNames: Record<string, string> = { workingDirectory: 'working directory', stopSignal: 'stop signal' }
const places = { both: 'in both', first: 'only here', second: 'only in the other' }

/** What an image has in common with another, which `with` in the address names */
export function ComparePage({ route: { query, reference, repository } }: { route: Route }): ComponentChild {
  const other = query.get('with') ?? ''
  const asked = other === '' ? undefined : { repository, reference, with: other }
  const { again, data, error } = useAnswer('compare', asked)
  return h(
    'div',
    {},
    h(Path, { repository, reference }),
    h('p', { class: 'quiet' }, h('a', { href: linkTo(repository, reference) }, 'Back to the image')),
    h(Choice, { repository, reference, other }),
    error?.status === 400 &&
      h(
        Notice,
        { title: 'This names no image' },
        h('p', {}, 'Write a tag or digest of this repository, or ', h('code', {}, 'team/app:v1'), ' of another.'),
      ),
    error !== undefined && error.status !== 400 && h(ErrorNotice, { error, again }),
    asked !== undefined && error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    asked !== undefined && data !== undefined && h(Result, { comparison: data, query: asked }),
  )
}

function Choice({
  other,
  reference,
  repository,
}: {
  repository: string
  reference: string
  other: string
}): ComponentChild {
  const tags = useAnswer('tags', other === '' ? { repository, q: '', from: 0, n: proposed } : undefined)
  const linkWith = (text: string): string => linkTo(repository, reference, { view: 'compare', with: text })
  const others = tags.data?.items.filter(({ tag }) => tag !== reference) ?? []
  const onSubmit = (event: Event): void => {
    event.preventDefault()
    const text = new FormData(event.currentTarget as HTMLFormElement).get('with') as string
    location.hash = linkWith(text.trim())
  }
  return h(
    'form',
    { onSubmit },
    h(Field, {
      name: 'with',
      label: 'Compare with',
      value: other,
      required: true,
      hint: 'A tag or digest of this repository, or of another, such as team/app:v1',
    }),
    h('div', { class: 'actions' }, h('button', { type: 'submit' }, 'Compare')),
    other === '' &&
      others.length > 0 &&
      h(
        'p',
        {},
        'Newest tags: ',
        others.map(({ tag }) => h('a', { class: 'tag', key: tag, href: linkWith(tag) }, tag)),
      ),
  )
}

function Result({ comparison, query }: { comparison: Comparison; query: Record<string, string> }): ComponentChild {
  const { annotations, environment, first, isPartial, labels, layers, platforms, second, settings } = comparison
  if (first.digest === second.digest) {
    return h(Notice, { title: 'Both are the same image' }, h('p', {}, h('code', {}, shortDigest(first.digest))))
  }
  const named = settings.items.map(item => ({ ...item, name: settingNames[item.name] ?? item.name }))
  return h(
    'div',
    { class: 'image' },
    [first, second].some(({ unread }) => unread !== undefined) &&
      h(Notice, { title: 'A manifest could not be read, so nothing of it is compared' }),
    first.kind !== second.kind && h('p', {}, `One is of the kind ${first.kind}, the other of the kind ${second.kind}.`),
    isPartial && h('p', {}, 'A configuration is too long to be compared as a whole.'),
    h(Platforms, { comparison }),
    layers.total > 0 && h(LayerTable, { comparison }),
    h(FileDifferences, { key: JSON.stringify(query), comparison, query }),
    h(Changes, { title: 'Configuration', differences: { ...settings, items: named } }),
    h(Changes, { title: 'Environment', differences: environment }),
    h(Changes, { title: 'Labels', differences: labels }),
    h(Changes, { title: 'Annotations', differences: annotations }),
    layers.total +
      [annotations, environment, labels, platforms, settings].reduce((sum, { total }) => sum + total, 0) ===
      0 && h('p', {}, 'What pages know of them is the same.'),
  )
}

function LayerTable({ comparison: { layers, sizes } }: { comparison: Comparison }): ComponentChild {
  return h(
    Section,
    { title: 'Layers' },
    h(
      'p',
      {},
      `${formatSize(sizes.both)} in both, ${formatSize(sizes.first)} only here, ${formatSize(sizes.second)} only in the other.`,
    ),
    h(DataTable, {
      label: 'Layers',
      columns: ['Layer', 'Where', 'Size', 'Digest'],
      rows: layers.items.map(layer => ({
        key: layer.digest,
        cells: [
          h('code', {}, h('bdi', {}, plain(nameOf(layer)))),
          places[layer.in],
          formatSize(layer.size),
          h('code', { title: layer.digest }, shortDigest(layer.digest)),
        ],
      })),
    }),
    h(More, { list: layers, what: 'more layer' }),
  )
}

function nameOf({ command, mediaType, title }: ComparedLayer): string {
  return command === undefined ? (title ?? mediaType ?? 'Layer') : instruction(command)
}

/** Platforms that differ lead to a comparison of their images */
function Platforms({ comparison: { first, platforms, second } }: { comparison: Comparison }): ComponentChild {
  const link = (repository: string, digest: string | undefined): ComponentChild =>
    digest === undefined ? '–' : h('a', { href: linkTo(repository, digest) }, h('code', {}, shortDigest(digest)))
  return h(Changes, {
    title: 'Platforms',
    differences: platforms,
    shown: item => [link(first.repository, item.first), link(second.repository, item.second)],
    nameOf: item =>
      item.first === undefined || item.second === undefined
        ? h('bdi', {}, plain(item.name))
        : h(
            'a',
            {
              href: linkTo(first.repository, item.first, {
                view: 'compare',
                with: `${second.repository}@${item.second}`,
              }),
            },
            h('bdi', {}, plain(item.name)),
          ),
  })
}

type Item = ImageDifferences['items'][number]

/** What has a name in both images and differs; nothing where none does */
function Changes({
  differences,
  nameOf = ({ name }) => h('bdi', {}, plain(name)),
  shown = ({ first, second }) => [textOf(first), textOf(second)],
  title,
}: {
  title: string
  differences: ImageDifferences
  nameOf?: (item: Item) => ComponentChild
  shown?: (item: Item) => ComponentChild[]
}): ComponentChild {
  return differences.total === 0
    ? null
    : h(
        Section,
        { title },
        h('p', { class: 'quiet' }, `${count(differences.total, 'difference')}, ${differences.same} the same`),
        h(DataTable, {
          label: title,
          columns: ['Name', 'Here', 'The other'],
          rows: differences.items.map((item, i) => ({ key: String(i), cells: [nameOf(item), ...shown(item)] })),
        }),
        h(More, { list: differences, what: 'more difference' }),
      )
}

function textOf(text: string | undefined): ComponentChild {
  return text === undefined ? '–' : text === '' ? 'empty' : h('code', {}, h('bdi', {}, plain(text)))
}
