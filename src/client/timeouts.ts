/** Every default timeout of the client, in milliseconds. The signal of the caller ends each wait earlier. */

const second = 1000
const minute = 60 * second

/** A server has received the whole request and has to begin its answer */
export const answerTimeout = 2 * minute
/** Between two chunks of a request or response body */
export const idleTimeout = minute
/** A response that is text (JSON, an error) has to be complete */
export const textTimeout = 2 * minute
/** A registry has to answer `GET /v2/` */
export const pingTimeout = 5 * second
/** A registry may verify or move the whole blob before it answers the last request of a push */
export const commitTimeout = 10 * minute
/** The appliance may have to look up names and peers in a network of any size */
export const networkTimeout = 2 * minute
/** The appliance goes through its whole index before the first byte of a backup */
export const backupTimeout = 60 * minute
/** A credential helper of Docker has to print the log-in */
export const helperTimeout = 30 * second
/** A question that the Docker Engine answers at once, unless it hangs */
export const engineAnswerTimeout = minute
/** The Docker Engine sends nothing while it packs or loads a large image */
export const engineIdleTimeout = 30 * minute
