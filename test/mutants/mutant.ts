/** A small defect that somebody might make, and the tests that must find it */
export interface Mutant {
  /** What goes wrong, in a few words */
  name: string
  /** Text that stands once in `src`, wherever that is; any white space stands for any other */
  find: string
  replace: string
  /** Test files, from `test` on */
  tests: string[]
}

export interface Place {
  /** From the project's directory on */
  file: string
  start: number
  end: number
}

/** A file with the piece that stands at a place replaced */
export function replaced(source: string, { start, end }: Place, replacement: string): string {
  return `${source.slice(0, start)}${replacement}${source.slice(end)}`
}

/** Where a mutant's text stands in these files; there should be one place */
export function placesOf({ find }: Pick<Mutant, 'find'>, sources: ReadonlyMap<string, string>): Place[] {
  const words = find.trim().split(/\s+/).map(RegExp.escape)
  return [...sources].flatMap(([file, text]) =>
    [...text.matchAll(new RegExp(words.join('\\s+'), 'g'))].map(({ index, 0: found }) => ({
      file,
      start: index,
      end: index + found.length,
    })),
  )
}
