import picomatch from 'picomatch'

/** Whether a text is one of these globs: `*` stands for anything without a slash, `**` for anything */
export function globMatcher(globs: readonly string[]): (text: string) => boolean {
  return picomatch([...globs], { dot: true, nonegate: true, noext: true })
}
