/** Is told of tags that changed */
export interface TagListener {
  /** The tag was set, moved or deleted; the index says which. Returns at once and throws nothing. */
  tagged: (repository: string, tag: string) => void
}
