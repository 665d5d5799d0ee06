/**
 * How people and programs write the name of an image root.
 *
 * ```
 * bafy..., zdj7..., f01...    CIDv1 in any multibase
 * Qm...                       CIDv0
 * ciq...                      docker format: a CIDv0 as a repository name may be written. It is the multihash alone in base32, lower case and
 *                             without padding; as `c` is the multibase of base32 with padding, it is tried before that.
 * /ipfs/<cid>, ipfs://<cid>   a CID as paths and URLs have it; without the first slash, as repository names have it
 * /ipns/<name>, ipns://<name> an IPNS name: a key, or a domain that DNSLink leads on from
 * k51..., bafzaa...           a key as a CID of the codec libp2p-key: it names whatever its owner publishes and is no content
 * ```
 */
import { base32 } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { bases } from 'multiformats/basics'
import type { MultibaseDecoder } from 'multiformats/bases/interface'
import { CID } from 'multiformats/cid'
import { decode as decodeMultihash } from 'multiformats/hashes/digest'

/** What an image root is asked for by: its CID, or a name whose owner says which one it is */
export type RootReference = { cid: string; name?: undefined } | { name: string; cid?: undefined }

const dagPb = 0x70
const libp2pKey = 0x72
const sha256 = 0x12
/** A shorter hash is found by trying, and a CID with one is more likely a word */
const minDigestBytes = 16
/** Of sha2-512: nothing that is a hash is longer, and what is no hash is content in the place of one (identity), as long as somebody likes */
const maxDigestBytes = 64
/** Fewer characters than the shortest CID has: base64 of the digest and the four bytes before it. Most names of repositories end here. */
const minLength = 28
/** More than a CID by sha2-512 has in base2; decoding takes time by the square of the length */
const maxLength = 600
/** The multibase of base32, which docker format leaves out */
const base32Prefix = 'b'
const dockerFormat = /^ciq[a-z2-7]{52}$/
const domain = /^(?=.{3,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const { identity: _, ...textBases } = bases

/**
 * Reads the name of an image root in any of its forms
 *
 * @returns the CID as CIDv1 in base32, the IPNS key in base36, or the domain; undefined where the text is none of them
 */
export function parseRoot(text: string): RootReference | undefined {
  const { scheme, rest } = split(text)
  if (scheme === 'ipns') {
    const name = parseKey(rest) ?? (domain.test(rest) ? rest.toLowerCase() : undefined)
    return name === undefined ? undefined : { name }
  }
  const cid = parseCid(rest)
  if (cid === undefined) {
    return undefined
  }
  if (cid.code === libp2pKey) {
    return scheme === undefined ? { name: cid.toString(base36) } : undefined
  }
  return { cid: cid.toV1().toString() }
}

/** The repository that stands for an image root, as a client of a registry asks for it */
export function repositoryOf(root: RootReference): string {
  return root.cid ?? (root.name.includes('.') ? `ipns/${root.name}` : root.name)
}

/**
 * Writes a name so that it can be the name of a repository: a CIDv0 in docker format, any other CID in base32, an IPNS key in base36
 *
 * @returns undefined where the text names no image root
 */
export function toDockerFormat(text: string): string | undefined {
  const root = parseRoot(text)
  const cid = parseCid(split(text).rest)
  if (cid?.version === 0 && root?.cid !== undefined) {
    return base32.encode(cid.multihash.bytes).slice(base32Prefix.length)
  }
  return root === undefined ? undefined : repositoryOf(root)
}

/**
 * Writes a name as IPFS tools do: docker format becomes a CIDv0, any other CID is written in base32, or as CIDv0 where it was one
 *
 * @returns undefined where the text names no image root
 */
export function toIpfsFormat(text: string): string | undefined {
  const root = parseRoot(text)
  const cid = parseCid(split(text).rest)
  if (cid?.version === 0 && root?.cid !== undefined) {
    return cid.toString()
  }
  return root?.cid ?? (root?.name?.includes('.') === true ? `/ipns/${root.name}` : root?.name)
}

/** @returns the CIDv0 of a CIDv1, or undefined where there is none: only dag-pb by sha2-256 has one */
export function toCidV0(cid: string): string | undefined {
  const parsed = parseCid(cid)
  return parsed?.code === dagPb && parsed.multihash.code === sha256 && parsed.multihash.size === 32
    ? parsed.toV0().toString()
    : undefined
}

function split(text: string): { scheme: 'ipfs' | 'ipns' | undefined; rest: string } {
  const [, path, url, rest] = /^(?:\/?(ipfs|ipns)\/|(ipfs|ipns):\/\/)?(.*?)\/?$/s.exec(text)!
  return { scheme: (path ?? url) as 'ipfs' | 'ipns' | undefined, rest: rest! }
}

function parseCid(text: string): CID | undefined {
  if (text.length < minLength || text.length > maxLength) {
    return undefined
  }
  try {
    // the multihash alone is what a CIDv0 is
    const cid = dockerFormat.test(text) ? CID.decode(base32.decode(base32Prefix + text)) : CID.parse(text, baseOf(text))
    return isDigestSize(cid.multihash.size) ? cid : undefined
  } catch {
    // no CID
    return undefined
  }
}

/** @returns undefined for a CIDv0, which has no multibase */
function baseOf(text: string): MultibaseDecoder<string> | undefined {
  return Object.values(textBases).find(({ prefix }) => text.startsWith(prefix))?.decoder
}

/** A key as a CID, or as the bare multihash that peer ids are written as */
function parseKey(text: string): string | undefined {
  const cid = parseCid(text)
  if (cid?.code === libp2pKey || text.length > maxLength) {
    return cid?.toString(base36)
  }
  try {
    const multihash = decodeMultihash(base58btc.baseDecode(text))
    return isDigestSize(multihash.size) ? CID.createV1(libp2pKey, multihash).toString(base36) : undefined
  } catch {
    // no key
    return undefined
  }
}

function isDigestSize(bytes: number): boolean {
  return bytes >= minDigestBytes && bytes <= maxDigestBytes
}
