/**
 * The ways in which people and programs write the CID or name of an image root.
 *
 * ```
 * bafy..., zdj7..., f01...    CIDv1 in any multibase
 * Qm...                       CIDv0
 * ciq...                      docker format: a CIDv0 in characters that a repository name may have. It is the
 *                             bare multihash in lower-case base32 without padding. It is tried before CIDv1,
 *                             where `c` means base32 with padding.
 * /ipfs/<cid>, ipfs://<cid>   a CID in a path or URL. Repository names have it without the first slash.
 * /ipns/<name>, ipns://<name> an IPNS name: a key, or a domain that DNSLink resolves
 * k51..., bafzaa...           an IPNS key as a CID with the codec libp2p-key: it stands for what its owner
 *                             publishes, not for content
 * ```
 */
import { base32 } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { bases } from 'multiformats/basics'
import type { MultibaseDecoder } from 'multiformats/bases/interface'
import { CID } from 'multiformats/cid'
import { decode as decodeMultihash } from 'multiformats/hashes/digest'

/** Either the CID of an image root, or an IPNS or DNSLink name that leads to one */
export type RootReference = { cid: string; name?: undefined } | { name: string; cid?: undefined }

const dagPb = 0x70
const libp2pKey = 0x72
const sha256 = 0x12
/** A shorter hash is not safe against collisions, and the text is more likely an ordinary word */
const minDigestBytes = 16
/**
 * The length of sha2-512. Anything longer is an identity "hash", which holds content of any length instead of a hash.
 */
const maxDigestBytes = 64
/**
 * Shorter than every CID (base64 of four bytes and the shortest digest), so that most repository names are ruled out at
 * once
 */
const minLength = 28
/** Longer than a sha2-512 CID in base2. Decoding time grows with the square of the length. */
const maxLength = 600
/** The multibase prefix of base32, which docker format omits */
const base32Prefix = 'b'
const dockerFormat = /^ciq[a-z2-7]{52}$/
const domain = /^(?=.{3,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const { identity: _, ...textBases } = bases

/**
 * Reads the CID or name of an image root in any of these forms
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

/** The repository name under which a registry client can pull an image root */
export function repositoryOf(root: RootReference): string {
  return root.cid ?? (root.name.includes('.') ? `ipns/${root.name}` : root.name)
}

/**
 * Writes a CID or name in a form that is a valid repository name: a CIDv0 in docker format, another CID in base32, an
 * IPNS key in base36
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
 * Writes a CID or name as IPFS tools do: docker format becomes a CIDv0, a CIDv0 stays one, and any other CID is written
 * in base32
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

/** @returns the CIDv0 of a CIDv1; undefined where it has none, as only dag-pb with sha2-256 does */
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
    // a CIDv0 is a bare multihash
    const cid = dockerFormat.test(text) ? CID.decode(base32.decode(base32Prefix + text)) : CID.parse(text, baseOf(text))
    return isDigestSize(cid.multihash.size) ? cid : undefined
  } catch {
    // not a CID
    return undefined
  }
}

/** @returns undefined for a CIDv0, which has no multibase */
function baseOf(text: string): MultibaseDecoder<string> | undefined {
  return Object.values(textBases).find(({ prefix }) => text.startsWith(prefix))?.decoder
}

/** Reads a key that is written as a CID, or as a bare multihash like a peer id */
function parseKey(text: string): string | undefined {
  const cid = parseCid(text)
  if (cid?.code === libp2pKey || text.length > maxLength) {
    return cid?.toString(base36)
  }
  try {
    const multihash = decodeMultihash(base58btc.baseDecode(text))
    return isDigestSize(multihash.size) ? CID.createV1(libp2pKey, multihash).toString(base36) : undefined
  } catch {
    // not a key
    return undefined
  }
}

function isDigestSize(bytes: number): boolean {
  return bytes >= minDigestBytes && bytes <= maxDigestBytes
}
