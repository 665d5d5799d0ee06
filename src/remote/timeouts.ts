/** Every default timeout, in milliseconds. The signal of the caller ends each wait earlier. */

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
/** A credential helper of Docker has to print the log-in */
export const helperTimeout = 30 * second
