import type { Descriptor } from '../oci/manifest/descriptor.ts'

/** Provides what is here: tells the DHT that this node has it. Returns at once, and provides in the background. */
export interface RootProvider {
  /** An image root */
  provide: (root: string) => void
  /** A blob, by its digest; one of a single leaf has no other CID than that, and is left out */
  provideBlob: (blob: Pick<Descriptor, 'digest' | 'size'>) => void
}
