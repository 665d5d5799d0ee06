/**
 * The name of a manifest in the `index.json` of an image layout: a tag
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/annotations.md
 */
export const refName = 'org.opencontainers.image.ref.name'
