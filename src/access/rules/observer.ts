import type { Identity } from './identity.ts'
import type { Decision, Question } from './rules.ts'

/** Is told what is found out about one request: who makes it, and what he may do */
export interface AccessObserver {
  /** @throws OciError where he has to wait */
  identified?: (identity: Identity) => void
  /**
   * A password, key or token was wrong
   *
   * @param claimed the user or key that it was shown for; undefined where there is none of that name, since people also
   *   type passwords where names belong
   * @throws OciError where the address has to wait
   */
  failed?: (claimed: string | undefined) => void
  decided?: (question: Question, decision: Decision) => void
}
