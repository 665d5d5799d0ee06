/** Timeouts of the commands beside those of src/remote, in milliseconds. The caller's signal ends each wait earlier. */

const minute = 60_000

/** The appliance may have to look up names and peers in a network of any size */
export const networkTimeout = 2 * minute
/** The appliance goes through its whole index before the first byte of a backup */
export const backupTimeout = 60 * minute
/** A question that the Docker Engine answers at once, unless it hangs */
export const engineAnswerTimeout = minute
/** The Docker Engine sends nothing while it packs or loads a large image */
export const engineIdleTimeout = 30 * minute
