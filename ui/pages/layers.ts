import { h, type ComponentChild } from 'preact'
import type { ImageConfig, Layer, Limited, Step } from '../answers.ts'
import { formatSize, plain, shortDigest } from '../parts/texts.ts'
import { Copyable } from '../parts/copy.ts'
import { LayerFiles } from './files.ts'
import { More, Section } from './image-view.ts'

/** The layers with the commands that made them, or the files of an artifact */
export function Layers({
  config,
  image,
  layers,
}: {
  image: { repository: string; digest: string }
  config: ImageConfig | undefined
  layers: Limited<Layer>
}): ComponentChild {
  const steps = stepsOf(config, layers)
  const largest = Math.max(...layers.items.map(({ size }) => size), 1)
  return h(
    Section,
    { title: config === undefined ? 'Files' : steps === undefined ? 'Layers' : 'How it was built' },
    h(
      'ol',
      { class: 'layers' },
      (steps ?? layers.items.map(layer => ({ layer, step: undefined }))).map(({ layer, step }, i) =>
        h(LayerRow, { key: i, layer, step, largest, image: config === undefined ? undefined : image }),
      ),
    ),
    h(More, { list: layers, what: 'more layer' }),
  )
}

interface Row {
  layer: Layer | undefined
  step: Step | undefined
}

/** Which step made which layer; undefined where the history does not fit the layers */
function stepsOf(config: ImageConfig | undefined, layers: Limited<Layer>): Row[] | undefined {
  const history = config?.history
  const made = history?.items.filter(({ isEmpty }) => !isEmpty).length
  if (
    history === undefined ||
    history.total > history.items.length ||
    made !== layers.total ||
    layers.total > layers.items.length
  ) {
    return undefined
  }
  const left = [...layers.items]
  return history.items.map(step => ({ step, layer: step.isEmpty ? undefined : left.shift() }))
}

/** @param init.image whose files can be listed */
function LayerRow({
  image,
  largest,
  layer,
  step,
}: Row & { largest: number; image: { repository: string; digest: string } | undefined }): ComponentChild {
  return h(
    'li',
    { class: layer === undefined ? 'layer empty' : 'layer' },
    h(
      'div',
      { class: 'layer-command' },
      step === undefined ? h(Title, { layer }) : h('code', {}, h('bdi', {}, plain(instruction(step.command)))),
    ),
    layer !== undefined &&
      h(
        'div',
        { class: 'layer-facts quiet' },
        h('meter', { min: 0, max: largest, value: layer.size, 'aria-label': 'Size beside the largest layer' }),
        h('span', { class: 'number' }, formatSize(layer.size)),
        h(Copyable, { text: layer.digest, what: 'the digest of the layer', shown: shortDigest(layer.digest) }),
        !layer.isHere && h('span', {}, 'not here yet'),
      ),
    layer?.isHere === true &&
      image !== undefined &&
      h(LayerFiles, {
        query: { repository: image.repository, reference: image.digest, layer: layer.digest },
        what: shortDigest(layer.digest),
      }),
  )
}

function Title({ layer }: { layer: Layer | undefined }): ComponentChild {
  return h('bdi', {}, plain(layer?.title ?? layer?.mediaType ?? 'Layer'))
}

/** What builders note, as it stands in a Dockerfile */
export function instruction(command: string): string {
  const text = command.replace(/^\/bin\/sh -c #\(nop\)\s*/, '').replace(/\s+# buildkit$/, '')
  const run = /^(?:RUN )?(?:\|\d+ .*? )?\/bin\/sh -c (.*)$/s.exec(text)?.[1]
  return (run === undefined ? text : `RUN ${run}`).replace(/\s{2,}/g, ' ').trim() || 'no command is noted'
}
