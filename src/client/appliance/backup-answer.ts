/** What an appliance could not put into a backup, because it is missing or damaged */
export interface LeftOut {
  /** Manifests and blobs */
  count: number
  /** The first of them, as `<repository>@<digest>` */
  names: string[]
}

/** A backup that an appliance begins to send */
export interface BackupAnswer {
  root: string
  leftOut: LeftOut
  /** About how many bytes will come; undefined: an appliance of an older version does not say so */
  size?: number | undefined
  /** A CAR */
  bytes: AsyncIterable<Uint8Array>
}
