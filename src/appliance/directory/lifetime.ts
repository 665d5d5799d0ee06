import { StartError } from './start-error.ts'

const day = 24 * 3600
/** Seconds: more is a slip of the pen, and with much more there is no date at the end */
const maxLifetime = 100 * 365 * day

/**
 * @param what of which the lifetime is: `a key`
 * @param lifetime in seconds
 * @throws StartError where it is shorter than a second, or longer than a hundred years
 */
export function requireLifetime(what: string, lifetime: number): void {
  if (lifetime < 1) {
    throw new StartError(`${what} has to be valid for at least a second`)
  }
  if (lifetime > maxLifetime) {
    throw new StartError(`${what} can be valid for at most ${maxLifetime / day}d`)
  }
}
