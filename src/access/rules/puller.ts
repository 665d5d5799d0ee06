import type { Identity } from './identity.ts'
import type { Decisions } from './rules.ts'

/** What somebody may pull by the rules of one moment, where it is asked for by CID and may be of many repositories */
export interface Puller {
  /** Whether every repository there can be may be pulled, and with that what belongs to none */
  readonly everything: boolean
  /** Whether any rule allows a pull; where none does, nothing has to be looked up */
  readonly something: boolean
  mayPull: (repository: string, tag?: string) => boolean
}

export const pullsEverything: Puller = { everything: true, something: true, mayPull: () => true }
const pullsNothing: Puller = { everything: false, something: false, mayPull: () => false }

/** @param isCovered whether what the client shows is for this at all */
export function pullerOf(rules: Decisions, identity: Identity, isCovered = true): Puller {
  return isCovered && rules.allowsSomewhere(identity, 'pull')
    ? {
        everything: rules.allowsEverywhere(identity, 'pull'),
        something: true,
        mayPull: (repository, tag) => rules.decide(identity, { action: 'pull', repository, tag }).allowed,
      }
    : pullsNothing
}
