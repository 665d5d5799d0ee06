import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { formatPlatform, platformOf } from '../../oci/manifest/platform.ts'
import type { ImageConfig } from './content/image-config.ts'
import type { ImageContent, ImageDetails } from './content/image-details.ts'
import { isCut, limited, textOf, type Limited, type Pair } from './content/limited.ts'

/** Of each list that a page shows */
const [maxLayers, maxDifferences] = [400, 400]

/** Something that has a name in both images, and is not the same */
export interface Difference {
  name: string
  /** Undefined where the first image has none */
  first: string | undefined
  /** Undefined where the second image has none */
  second: string | undefined
}

export interface ImageDifferences extends Limited<Difference> {
  /** How many are the same in both */
  same: number
}

export interface ComparedLayer {
  digest: Digest
  /** Bytes */
  size: number
  mediaType: string | undefined
  /** Name of the file that it is, where it is one */
  title: string | undefined
  /** That made it, where the history of the image tells */
  command: string | undefined
  in: 'both' | 'first' | 'second'
}

type ComparedImage = Pick<ImageDetails, 'repository' | 'digest' | 'kind' | 'mediaType' | 'unread'>

/** What two images have in common, and what not; each list is cut where it is too long */
export interface Comparison {
  first: ComparedImage
  second: ComparedImage
  /** Those of both come first, then those of the first image alone */
  layers: Limited<ComparedLayer>
  /** Bytes of the layers of both images, and of each alone */
  sizes: Record<ComparedLayer['in'], number>
  /** Manifests of an index, by their platforms */
  platforms: ImageDifferences
  /** Fields of the config with one value each */
  settings: ImageDifferences
  environment: ImageDifferences
  labels: ImageDifferences
  annotations: ImageDifferences
  /** Whether a config has lists or texts that are too long to be compared as a whole */
  isPartial: boolean
}

/** Compares what is known of two images, and reads no layer */
export function compareImages(first: ImageContent, second: ImageContent): Comparison {
  const layers = compareLayers(first, second)
  const sizes = { both: 0, first: 0, second: 0 }
  for (const layer of layers) {
    sizes[layer.in] += layer.size
  }
  const configs = [first.config, second.config]
  const by = (valuesOf: (image: ImageContent) => ReadonlyMap<string, string>): ImageDifferences =>
    compareValues(valuesOf(first), valuesOf(second))
  return {
    first: shownOf(first),
    second: shownOf(second),
    layers: limited(layers, maxLayers, layer => layer),
    sizes,
    platforms: by(platformsOf),
    settings: by(({ config }) => settingsOf(config)),
    environment: by(({ config }) => variablesOf(config?.environment.items ?? [])),
    labels: by(({ config }) => new Map(config?.labels.items.map(({ name, value }) => [name, value]))),
    annotations: by(({ manifest }) => new Map(Object.entries(manifest?.annotations ?? {}))),
    isPartial: configs.some(config => config !== undefined && isShortened(config)),
  }
}

function shownOf({ digest, kind, mediaType, repository, unread }: ImageContent): ComparedImage {
  return { repository, digest, kind, mediaType, unread }
}

/** Each digest counts once, as each is stored and pulled once */
function compareLayers(first: ImageContent, second: ImageContent): ComparedLayer[] {
  const ofFirst = layersOf(first, 'first')
  const ofSecond = layersOf(second, 'second')
  const both: ComparedLayer[] = []
  const alone: ComparedLayer[] = []
  for (const [digest, layer] of ofFirst) {
    if (ofSecond.delete(digest)) {
      both.push({ ...layer, in: 'both' })
    } else {
      alone.push(layer)
    }
  }
  return [...both, ...alone, ...ofSecond.values()]
}

function layersOf({ config, layers }: ImageContent, where: 'first' | 'second'): Map<Digest, ComparedLayer> {
  const commands = commandsOf(config, layers)
  const compared = new Map<Digest, ComparedLayer>()
  for (const [i, { annotations, digest, mediaType, size }] of layers.entries()) {
    if (!compared.has(digest)) {
      const title = textOf(annotations?.['org.opencontainers.image.title'])
      compared.set(digest, { digest, size, mediaType: textOf(mediaType), title, command: commands[i], in: where })
    }
  }
  return compared
}

/** Which command made which layer; empty where the history does not fit the layers */
function commandsOf(config: ImageConfig | undefined, layers: readonly Descriptor[]): string[] {
  const steps = config?.history.items.filter(({ isEmpty }) => !isEmpty) ?? []
  const isWhole = config?.history.items.length === config?.history.total
  return isWhole && steps.length === layers.length ? steps.map(({ command }) => command) : []
}

function compareValues(first: ReadonlyMap<string, string>, second: ReadonlyMap<string, string>): ImageDifferences {
  const names = [...new Set([...first.keys(), ...second.keys()])]
  const different = names.filter(name => first.get(name) !== second.get(name))
  const shown = limited(different, maxDifferences, name => ({
    name: textOf(name) ?? '',
    first: shownText(first.get(name)),
    second: shownText(second.get(name)),
  }))
  return { ...shown, same: names.length - different.length }
}

/** An empty text is a value, too */
function shownText(value: string | undefined): string | undefined {
  return value === '' ? '' : textOf(value)
}

/** What an index lists without a platform are attestations and the like, which differ with each build */
function platformsOf({ manifest }: ImageContent): Map<string, string> {
  const platforms = new Map<string, string>()
  for (const descriptor of manifest?.manifests ?? []) {
    const platform = platformOf(descriptor)
    const name = platform && formatPlatform(platform)
    // clients take the first that fits
    if (name !== undefined && !platforms.has(name)) {
      platforms.set(name, descriptor.digest)
    }
  }
  return platforms
}

function settingsOf(config: ImageConfig | undefined): Map<string, string> {
  const words = (list: readonly string[] = []): string => (list.length === 0 ? '' : JSON.stringify(list))
  const names = (list: Limited<string> | undefined): string => (list?.items ?? []).toSorted().join(', ')
  const platform = [config?.os, config?.architecture, config?.variant].filter(part => part !== undefined).join('/')
  const settings: [name: string, value: string | undefined][] = [
    ['platform', platform],
    ['entrypoint', words(config?.entrypoint)],
    ['command', words(config?.command)],
    ['workingDirectory', config?.workingDirectory],
    ['user', config?.user],
    ['ports', names(config?.ports)],
    ['volumes', names(config?.volumes)],
    ['stopSignal', config?.stopSignal],
    ['author', config?.author],
    ['created', config?.created],
  ]
  return new Map(settings.filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== ''))
}

/** By their names; the last of several with one name counts, as for a process */
function variablesOf(environment: readonly string[]): Map<string, string> {
  return new Map(
    environment.map(text => {
      const end = text.indexOf('=')
      return end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end + 1)]
    }),
  )
}

function isShortened({ command, entrypoint, environment, labels, ports, volumes }: ImageConfig): boolean {
  const lists: Limited<string | Pair>[] = [environment, labels, ports, volumes]
  const texts = [...command, ...entrypoint, ...environment.items, ...labels.items.map(({ value }) => value)]
  return lists.some(({ items, total }) => items.length < total) || texts.some(isCut)
}
