/** What can be told to pull through a mirror; podman stands for all that read registries.conf */
export const engines = ['containerd', 'docker', 'podman'] as const
export type Engine = (typeof engines)[number]

export interface MirrorInit {
  /** URL of this registry, as the engine reaches it, without a path */
  mirror: URL
  /** Hosts of the registries to be mirrored, such as docker.io */
  upstreams: readonly string[]
  /** Whether what an earlier set-up has written is to be taken out again */
  undo: boolean
}

/** A file that is to be written, or deleted where `after` is undefined */
export interface FileChange {
  /** Absolute */
  path: string
  before: string | undefined
  after: string | undefined
}

export interface Changes {
  files: FileChange[]
  /** What else has to be done, by whoever does this */
  notes: string[]
}

/** The files of an engine, below the root of a system */
export interface EngineFiles {
  /** @returns undefined where there is no such file */
  read: (path: string) => Promise<string | undefined>
  /** Names in a directory, sorted; none where there is no such directory */
  list: (path: string) => Promise<string[]>
}
