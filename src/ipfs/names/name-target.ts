import { parseRoot } from '../../oci/cid.ts'

/** What a name or path leads to: a CID or another name, and a path below it */
export type NameTarget = ({ cid: string; name?: undefined } | { name: string; cid?: undefined }) & { path: string[] }

/** Longer texts are not parsed; characters */
const maxLength = 4096

/**
 * Parses what a DNS or IPNS record points to: `/ipfs/<cid>` or `/ipns/<key or domain>`, with or without a path below
 * it. Nothing else is followed, or the owner of a name could point to files of this machine.
 *
 * @returns undefined for anything else
 */
export function parseTarget(text: string): NameTarget | undefined {
  const [, namespace, root, rest] =
    text.length > maxLength ? [] : (/^\/(ipfs|ipns)\/([^/]+)((?:\/[^/]+)*)\/?$/.exec(text) ?? [])
  const found = root === undefined ? undefined : parseRoot(`/${namespace}/${root}`)
  return found === undefined ? undefined : { ...found, path: rest!.split('/').slice(1) }
}

/**
 * Parses what people type: a target as in a record, or only a CID, an IPNS key, a peer ID or a domain, each with or
 * without a path below it
 *
 * @returns undefined for anything else
 */
export function parseNamePath(text: string): NameTarget | undefined {
  const [, path, url, rest] = /^(?:\/?(ipfs|ipns)\/|(ipfs|ipns):\/\/)?(.*)$/s.exec(text)!
  const namespace = path ?? url
  return namespace === undefined
    ? (parseTarget(`/ipns/${rest}`) ?? parseTarget(`/ipfs/${rest}`))
    : parseTarget(`/${namespace}/${rest}`)
}
