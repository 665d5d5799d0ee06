/** The file of the bundle that is src/main.js */
export const mainChunk = 'main.cjs'

/** Ends the names of files with compiled code */
export const compiledSuffix = '.bin'

/** The folder with compiled code for this Node, beside the program */
export function compiledFolder(): string {
  return `compiled/${process.version}-${process.platform}-${process.arch}`
}
