/** What clients are told who pull a manifest with this annotation */
const deprecated = 'vnd.ipdr.deprecated'
/** Characters */
const maxMessage = 200

/** @returns what is safe in a header: ASCII without quotes and backslashes; undefined: it is not deprecated */
export function deprecationIn(annotations: Record<string, string> | undefined): string | undefined {
  const text = annotations?.[deprecated]
    ?.slice(0, maxMessage)
    .replaceAll(/[^ !#-[\]-~]/g, '?')
    .trim()
  return text === '' ? undefined : text
}

/**
 * The name of a manifest in the `index.json` of an image layout: a tag
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/annotations.md
 */
export const refName = 'org.opencontainers.image.ref.name'
