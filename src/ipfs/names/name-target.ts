import { parseRoot } from '../../oci/cid.ts'

/** What a name or path leads to: content, or another name; with a path below it */
export type NameTarget = ({ cid: string; name?: undefined } | { name: string; cid?: undefined }) & { path: string[] }

const maxLength = 4096

/**
 * Reads what a DNS or IPNS record may point to: `/ipfs/<cid>` or `/ipns/<key or domain>`, with or without a path below. Nothing else is
 * followed, so that the owner of a name can't point at files of this machine.
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
 * Reads what people ask for: a target in full, or only an IPNS key, a peer id or a domain, each with or without a path below
 *
 * @returns undefined where it is none of them
 */
export function parseNamePath(text: string): NameTarget | undefined {
  const [, path, url, rest] = /^(?:\/?(ipfs|ipns)\/|(ipfs|ipns):\/\/)?(.*)$/s.exec(text)!
  const namespace = path ?? url
  return namespace === undefined
    ? (parseTarget(`/ipns/${rest}`) ?? parseTarget(`/ipfs/${rest}`))
    : parseTarget(`/${namespace}/${rest}`)
}
