/**
 * What a rule allows:
 *
 * - `pull`: read manifests, blobs, tags and referrers, and see the repository in listings
 * - `push`: upload blobs, put manifests, and set tags that do not exist yet
 * - `tag`: move a tag that exists to another manifest
 * - `delete`: delete tags, manifests and blobs
 * - `admin`: everything that the administration of the appliance offers
 */
export const actions = ['pull', 'push', 'tag', 'delete', 'admin'] as const

export type Action = (typeof actions)[number]
