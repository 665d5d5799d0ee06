/** Tells other nodes which image roots are here */
export interface RootProvider {
  /** Returns at once */
  provide: (root: string) => void
}
