/** Hears of every tag that changes */
export interface TagListener {
  /** Called after a tag was set, moved or deleted; the index tells which. Returns at once, and never throws. */
  tagged: (repository: string, tag: string) => void
}
