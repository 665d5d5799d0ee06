/**
 * The contract between IPFS and the rest: files and directories that are stored and read by CID. Everything outside
 * `src/ipfs` asks for a {@link ContentStore} or a part of it. The folders, each of which may import those after it:
 *
 * - `kubo/`: content in a kubo elsewhere
 * - `retrieval/`: content that is fetched from peers and gateways
 * - `names/`: IPNS and DNSLink
 * - `digests/`: what appliances tell each other of blobs, by digest
 * - `node/`: Helia and libp2p
 * - `content/`: files and directories out of blocks and into blocks
 * - `car/`: the file format for many blocks
 * - `dag/`: the shape of files and directories, and walks through all blocks below a root
 * - `hashing/`: hashes on other threads
 * - `blockstore/`: blocks on disk
 * - `blocks/`: what a block and its CID are
 */
import type { CID } from 'multiformats/cid'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'

/** A UnixFS file or directory in a blockstore */
export interface Content {
  /** CIDv1 in base32 */
  cid: string
  /** Bytes of a file; 0 for a directory */
  size: number
  /** Bytes of the root's block and all blocks below it: the `Tsize` of a link to it */
  dagSize: number
}

/** An entry of a directory; its name contains no slash */
export interface DirectoryEntry {
  name: string
  content: Content
}

/** What a writer has stored of a file, for another writer to continue with after a restart */
export interface WriterState {
  /** Bytes in the leaves and the tail */
  size: number
  /** CIDs of the full leaves, in order */
  leaves: readonly string[]
  /** CID of a leaf that is not full yet */
  tail?: string | undefined
}

export interface StoreOptions {
  signal?: AbortSignal | undefined
  /** Address of the client, where a client's request is the reason */
  client?: string | undefined
}

export interface AddOptions extends StoreOptions {
  /** Called with each block that is stored, whether it was there before or not */
  onBlock?: ((cid: CID) => void) | undefined
}

/** Writes a file of any length in constant memory. No method may be called before the last call has ended. */
export interface ContentWriter {
  /** Bytes taken so far */
  readonly size: number
  /** Resolves when the writer can take more; the caller may overwrite `chunk` then */
  write: (chunk: Uint8Array) => Promise<void>
  /** The full leaves that are stored already, without waiting for others */
  stored: () => WriterState
  /** CIDs of all blocks that are stored so far, which garbage collection must keep */
  blocks: () => string[]
  /** The same, as {@link blockKeys} writes them */
  blockKeys: () => Uint8Array
  /** Resolves when everything written so far is stored */
  checkpoint: () => Promise<WriterState>
  /**
   * Ends the file. It is durable only after {@link ContentStore.sync}.
   *
   * @returns with the digest, if one was asked for and this writer has written the file from its first byte
   * @throws RepetitiveFileError
   */
  close: () => Promise<Content & { digest: Digest | undefined }>
  /** Gives up the file, at any time. Its blocks stay until garbage collection deletes them. */
  discard: () => void
}

/** What a sparse writer has stored of a file, for another one to continue with after a restart */
export interface SparseState {
  /** Bytes of the whole file */
  size: number
  /** SHA-256 of each leaf, one after the other; zeros for one that is not here */
  leaves: Uint8Array
}

export interface SparseWriterInit {
  /** Bytes of the whole file */
  size: number
  /** Algorithm of the digest that {@link SparseWriter.close} is to return */
  digest: DigestAlgorithm
  /** What an earlier writer of the same file had stored */
  state?: SparseState | undefined
}

/**
 * Writes a file of known size in constant memory, whose leaves come in any order. Each has 1 MiB but the last one,
 * which may be shorter; an empty file has one empty leaf.
 */
export interface SparseWriter {
  readonly size: number
  readonly leafCount: number
  /** How many leaves are stored */
  readonly stored: number
  has: (leaf: number) => boolean
  /** SHA-256 of a leaf, which its CID has; undefined where it is not here */
  hash: (leaf: number) => Uint8Array | undefined
  /**
   * Resolves when the leaf is stored; the caller may overwrite `bytes` then. The same leaf may come again: the last one
   * counts.
   *
   * @throws RangeError where it has another length; StorageFullError
   */
  write: (leaf: number, bytes: Uint8Array) => Promise<void>
  /**
   * @param into where the leaf may be read to
   * @throws NotFoundError or DamagedBlockError where it can't be read any more; it is not here from then on
   */
  read: (leaf: number, into?: Uint8Array) => Promise<Uint8Array>
  /** The leaves that are stored */
  state: () => SparseState
  /** CIDs of all blocks that are stored so far, which garbage collection must keep */
  blocks: () => string[]
  /** The same, as {@link blockKeys} writes them */
  blockKeys: () => Uint8Array
  /**
   * Ends a file of which all leaves are here. It is durable only after {@link ContentStore.sync}. Where a leaf can't be
   * read any more, it can be written again, and the file closed then.
   *
   * @throws RepetitiveFileError; as {@link read}
   */
  close: (algorithm: DigestAlgorithm) => Promise<Content & { digest: Digest }>
  /** Gives up the file, at any time; its leaves can still be read, and stay until garbage collection deletes them */
  discard: () => void
}

export interface ReadFileOptions extends StoreOptions {
  /** First byte that is wanted */
  start?: number | undefined
  /** Last byte that is wanted */
  end?: number | undefined
}

/** What a path leads to */
export interface Found extends Omit<Content, 'dagSize'> {
  type: 'file' | 'directory'
  /** Bytes of its block and all blocks below it, as the links claim; they were not counted */
  claimedDagSize: number
}

/** Reads files and directories in IPFS */
export interface ContentReader {
  /**
   * Reads a file, or the part of it from `start` to `end`, both included. A chunk may be overwritten once the next one
   * is asked for.
   *
   * @throws NotFoundError where a block is missing, DamagedBlockError where one does not match its CID,
   *   UnavailableError where nobody delivers one in time, RefusedDagError where the CID is not that of a file, or its
   *   DAG exceeds a limit
   */
  read: (cid: string, options?: ReadFileOptions) => AsyncIterable<Uint8Array>
  /**
   * Follows a path below a directory; an empty path leads to `root` itself
   *
   * @returns undefined where the path does not exist
   * @throws as {@link ContentReader.read}
   */
  find: (root: string, path: readonly string[], options?: StoreOptions) => Promise<Found | undefined>
  /**
   * Lists the entries of a directory, sharded or not
   *
   * @throws as {@link ContentReader.read}
   */
  list: (directory: string, options?: StoreOptions) => AsyncIterable<{ name: string; cid: string }>
  /**
   * Tells whether the DAG of a file is the one that our own writer makes of the same bytes, so that a push of them gets
   * this CID. Only nodes are read; that the leaves match their CIDs is for the caller to know.
   *
   * @returns the file, with sizes computed from its shape; undefined where our writer would make another DAG
   * @throws as {@link ContentReader.read}
   */
  canonical: (cid: string, options?: StoreOptions) => Promise<Content | undefined>
}

/** A reader that can be handed on in part */
export interface PartialReader extends ContentReader {
  /** The same reader, which refuses each block that may not be read: it throws RefusedDagError for it */
  only: (mayRead: (cid: CID) => boolean | Promise<boolean>) => ContentReader
}

/** Reads and writes files and directories in IPFS */
export interface ContentStore extends ContentReader {
  /**
   * @param init.state what an earlier writer of the same file had stored
   * @param init.digest algorithm of the digest that {@link ContentWriter.close} is to return
   */
  writer: (init?: { state?: WriterState | undefined; digest?: DigestAlgorithm | undefined }) => ContentWriter
  /** As {@link writer}, for a file whose leaves come in any order */
  sparseWriter: (init: SparseWriterInit) => SparseWriter
  /** Stores bytes that are in memory already */
  add: (bytes: Uint8Array, options?: AddOptions) => Promise<Content>
  /** Stores a directory of links; a hundred thousand of them take a while */
  addDirectory: (entries: readonly DirectoryEntry[], options?: AddOptions) => Promise<Content>
  /** Makes everything stored before the call durable */
  sync: () => Promise<void>
}
