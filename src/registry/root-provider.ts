/** Provides image roots: tells the DHT that this node has them */
export interface RootProvider {
  /** Returns at once, and provides in the background */
  provide: (root: string) => void
}
