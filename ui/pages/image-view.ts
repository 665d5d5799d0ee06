import { h, type ComponentChild, type ComponentChildren } from 'preact'
import type { ImageConfig, ImageDetails, Limited, Pair, Variant } from '../answers.ts'
import { DataTable, type TableRow } from '../parts/data-table.ts'
import { Copyable } from '../parts/copy.ts'
import { Notice } from '../parts/notice.ts'
import { count, formatSize, plain, shortDigest } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'
import { linkTo } from '../router.ts'
import { Layers } from './layers.ts'
import { PullCommands } from './pull-commands.ts'
import { Referrers } from './referrers.ts'

const kinds = { image: 'Image', index: 'Image for several platforms', artifact: 'Artifact', other: 'Manifest' }

/** Everything that is known of one image */
export function ImageView({ image, reference }: { image: ImageDetails; reference: string }): ComponentChild {
  const { annotations, config, layers, repository, subject, unread, variants } = image
  return h(
    'div',
    { class: 'image' },
    h(Facts, { image, reference }),
    h(PullCommands, { image, reference }),
    unread !== undefined && h(Unread, { unread }),
    variants.total > 0 && h(Variants, { repository, variants }),
    layers.total > 0 && h(Layers, { config, layers, image }),
    config !== undefined && h(Config, { config }),
    config !== undefined && h(Pairs, { title: 'Labels', pairs: config.labels }),
    h(Pairs, { title: 'Annotations', pairs: annotations }),
    subject !== undefined &&
      h(Section, {
        title: 'It is about',
        children: h('p', {}, h('a', { href: linkTo(repository, subject) }, h('code', {}, shortDigest(subject)))),
      }),
    h(Referrers, { repository, referrers: image.referrers }),
  )
}

function Facts({ image, reference }: { image: ImageDetails; reference: string }): ComponentChild {
  const { artifactType, cid, config, digest, kind, ownSize, repository, size, tags, updated } = image
  const others = tags.items.filter(tag => tag !== reference)
  const what = config === undefined && kind === 'image' ? 'Artifact' : kinds[kind]
  const platform =
    config === undefined
      ? undefined
      : [config.os, config.architecture, config.variant].filter(part => part !== undefined).join('/')
  return h(
    'dl',
    { class: 'facts' },
    h(Fact, { name: 'Kind' }, what, platform === undefined || platform === '' ? '' : ` for ${plain(platform)}`),
    artifactType !== undefined && config === undefined && h(Fact, { name: 'Type' }, h('bdi', {}, plain(artifactType))),
    h(Fact, { name: 'Size' }, size === undefined ? 'too many parts to count' : formatSize(size)),
    size !== undefined &&
      ownSize !== undefined &&
      h(
        Fact,
        { name: 'Of its own' },
        `${formatSize(ownSize)}, and ${formatSize(Math.max(size - ownSize, 0))} shared with others`,
      ),
    updated !== undefined && h(Fact, { name: 'Pushed' }, h(Time, { at: updated })),
    h(Fact, { name: 'Built' }, h(Time, { at: config?.created })),
    h(Fact, { name: 'Digest' }, h(Copyable, { text: digest, what: 'the digest' })),
    h(Fact, { name: 'CID' }, h(Copyable, { text: cid, what: 'the CID' })),
    others.length > 0 &&
      h(
        Fact,
        { name: reference.includes(':') ? 'Tags' : 'Also tagged' },
        others.map(tag => h('a', { class: 'tag', key: tag, href: linkTo(repository, tag) }, tag)),
        tags.total > tags.items.length && ` and ${count(tags.total - tags.items.length, 'more tag')}`,
      ),
  )
}

/** A name and what it stands for; nothing where that is nothing */
function Fact({ children, name }: { name: string; children?: ComponentChildren }): ComponentChild {
  return h('div', {}, h('dt', {}, name), h('dd', {}, children))
}

function Unread({ unread }: { unread: NonNullable<ImageDetails['unread']> }): ComponentChild {
  return unread === 'too large'
    ? h(Notice, { title: 'The manifest is too large to be shown' }, h('p', {}, 'It can be pulled as ever.'))
    : h(
        Notice,
        { title: 'The manifest is of a form that these pages do not know' },
        h('p', {}, 'It can be pulled as ever.'),
      )
}

export function Section({ children, title }: { title: string; children?: ComponentChildren }): ComponentChild {
  return h('section', {}, h('h2', {}, title), children)
}

function Variants({ repository, variants }: { repository: string; variants: Limited<Variant> }): ComponentChild {
  const platforms = variants.items.filter(({ platform }) => platform !== undefined)
  const others = variants.items.filter(({ platform }) => platform === undefined)
  return h(
    Section,
    { title: 'Platforms' },
    h(DataTable, {
      label: 'Platforms',
      columns: ['Platform', 'Size', 'Digest'],
      numbers: ['Size'],
      rows: [...platforms, ...others].map(variant => variantRow(repository, variant)),
    }),
    h(More, { list: variants, what: 'more platform' }),
  )
}

function variantRow(repository: string, variant: Variant): TableRow {
  const { artifactType, digest, isHere, platform, size } = variant
  const name = h('bdi', {}, plain(platform ?? artifactType ?? 'Attestation or other part'))
  return {
    key: digest,
    cells: [
      h(
        'span',
        { class: platform === undefined ? 'quiet' : '' },
        isHere ? h('a', { href: linkTo(repository, digest) }, name) : name,
      ),
      !isHere ? 'not pushed here' : size === undefined ? '–' : formatSize(size),
      h(Copyable, { text: digest, what: `the digest for ${platform ?? 'this part'}`, shown: shortDigest(digest) }),
    ],
  }
}

function Config({ config }: { config: ImageConfig }): ComponentChild {
  const { author, command, entrypoint, environment, ports, stopSignal, user, volumes, workingDirectory } = config
  const rows: [string, ComponentChildren][] = (
    [
      ['Entrypoint', shell(entrypoint)],
      ['Command', shell(command)],
      ['Working directory', workingDirectory],
      ['User', user],
      ['Ports', list(ports)],
      ['Volumes', list(volumes)],
      ['Stop signal', stopSignal],
      ['Author', author],
    ] as const
  ).flatMap(([name, text]) =>
    text === undefined || text === '' ? [] : [[name, h('code', {}, h('bdi', {}, plain(text)))]],
  )
  if (environment.total > 0) {
    rows.push([
      'Environment',
      [
        h(
          'ul',
          { class: 'plain', key: 'list' },
          environment.items.map((text, i) => h('li', { key: i }, h('code', {}, h('bdi', {}, plain(text))))),
        ),
        h(More, { key: 'more', list: environment, what: 'more variable' }),
      ],
    ])
  }
  return rows.length === 0
    ? null
    : h(
        Section,
        { title: 'Configuration' },
        h(
          'dl',
          { class: 'facts' },
          rows.map(([name, value]) => h(Fact, { key: name, name }, value)),
        ),
      )
}

function Pairs({ pairs, title }: { title: string; pairs: Limited<Pair> }): ComponentChild {
  return pairs.total === 0
    ? null
    : h(
        Section,
        { title },
        h(
          'dl',
          { class: 'facts pairs' },
          pairs.items.map(({ name, value }, i) => h(Fact, { key: i, name: plain(name) }, h('bdi', {}, plain(value)))),
        ),
        h(More, { list: pairs, what: 'more' }),
      )
}

/** Says that a list goes on beyond what is shown */
export function More({ list: { items, total }, what }: { list: Limited<unknown>; what: string }): ComponentChild {
  return total > items.length
    ? h('p', { class: 'quiet' }, `and ${count(total - items.length, what, what === 'more' ? what : undefined)}`)
    : null
}

/** As somebody would type it */
function shell(words: readonly string[]): string {
  return words.map(word => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
}

function list({ items, total }: Limited<string>): string {
  return [...items, ...(total > items.length ? ['…'] : [])].join(', ')
}
