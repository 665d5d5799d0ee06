import type { Digest, DigestAlgorithm } from '../oci/digest.ts'

/** A UnixFS file or directory in a blockstore */
export interface Content {
  /** CIDv1 in base32 */
  cid: string
  /** Bytes of the content; of a directory: 0 */
  size: number
  /** Bytes of all blocks below this one, itself included: the `Tsize` of a link to it */
  dagSize: number
}

/** A link of a directory; its name may have no slash */
export interface DirectoryEntry {
  name: string
  content: Content
}

/** What a writer needs in order to go on after a restart */
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
  /** Address of whoever asks, where it is a client's request */
  client?: string | undefined
}

/** Writes a file of any length in constant memory; not to be called again before the last call has ended */
export interface ContentWriter {
  /** Bytes taken so far */
  readonly size: number
  /** Resolves when the writer can take more. The caller may reuse `chunk` then. */
  write: (chunk: Uint8Array) => Promise<void>
  /** How far the blockstore holds the file already, without waiting: full leaves only */
  stored: () => WriterState
  /** CIDs of all blocks that the blockstore holds of the file so far and the writer still needs */
  blocks: () => string[]
  /** Resolves when everything written so far is in the blockstore */
  checkpoint: () => Promise<WriterState>
  /**
   * Ends the file. It is durable only after {@link ContentStore.sync}.
   *
   * @returns the digest too, if it was asked for and this writer has seen all leaves of the file
   * @throws RepetitiveFileError
   */
  close: () => Promise<Content & { digest: Digest | undefined }>
  /** Gives up the file, at any time; what was stored of it stays where it is */
  discard: () => void
}

export interface ReadFileOptions extends StoreOptions {
  /** First byte wanted */
  start?: number | undefined
  /** Last byte wanted */
  end?: number | undefined
}

/** What a path leads to */
export interface Found extends Omit<Content, 'dagSize'> {
  type: 'file' | 'directory'
  /** Bytes of all blocks below it, as whoever made its links says: nobody has counted them */
  claimedDagSize: number
}

/** Reads files and directories in IPFS */
export interface ContentReader {
  /**
   * Reads a file, or the part of it from `start` to `end`, both inclusive. A chunk may be overwritten once the next one
   * is asked for.
   *
   * @throws NotFoundError where a block is missing, DamagedBlockError where one does not hold what it should,
   *   UnavailableError where nobody delivers a block in time, RefusedDagError where it is no file that anybody has to
   *   read
   */
  read: (cid: string, options?: ReadFileOptions) => AsyncIterable<Uint8Array>
  /**
   * Follows a path below a directory; an empty path leads to `root` itself
   *
   * @returns undefined where there is nothing of that name
   * @throws as {@link ContentReader.read}
   */
  find: (root: string, path: readonly string[], options?: StoreOptions) => Promise<Found | undefined>
  /**
   * Lists the names in a directory, sharded or not
   *
   * @throws as {@link ContentReader.read}
   */
  list: (directory: string, options?: StoreOptions) => AsyncIterable<{ name: string; cid: string }>
  /**
   * Whether the DAG of a file is the one that our own writer makes of its bytes: then whoever has these bytes has this
   * CID. Only nodes are read, so this says nothing of what the leaves hold: that is known to whoever has read the whole
   * file.
   *
   * @returns the file with sizes that were computed from its shape, not believed; undefined where it is another DAG
   * @throws as {@link ContentReader.read}
   */
  canonical: (cid: string, options?: StoreOptions) => Promise<Content | undefined>
}

/** Reads and writes files and directories in IPFS */
export interface ContentStore extends ContentReader {
  /**
   * @param init.state what an earlier writer of the same file had stored
   * @param init.digest algorithm of the digest that {@link ContentWriter.close} is to return
   */
  writer: (init?: { state?: WriterState | undefined; digest?: DigestAlgorithm | undefined }) => ContentWriter
  /** Stores bytes that are in memory anyway */
  add: (bytes: Uint8Array) => Promise<Content>
  /** Stores a directory of links; one of a hundred thousand takes a while */
  addDirectory: (entries: readonly DirectoryEntry[], options?: StoreOptions) => Promise<Content>
  /** Makes everything stored before the call durable */
  sync: () => Promise<void>
}
