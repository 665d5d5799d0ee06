/** What every soak is given: what it finds wrong, it returns */
export interface SoakOptions {
  seed: string
  /** How often, for those that go by number */
  rounds: number | undefined
  minutes: number | undefined
  /** How many are to be accepted */
  manifests: number | undefined
  /** How many of them are done */
  actions: number | undefined
  /** One line of progress or of figures */
  print: (line: string) => void
}

/** @returns what was lost or is not as it must be; none where all is well */
export type Soak = (options: SoakOptions) => Promise<string[]>
