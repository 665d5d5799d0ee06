import { OciError } from '../oci/errors.ts'
import type { Action } from './rules/actions.ts'
import type { Challenge } from './log-in/authenticator.ts'
import { anonymousFrom, type Identity } from './rules/identity.ts'
import { pullerOf, pullsEverything, type Puller } from './rules/puller.ts'
import type { Decision, Decisions, Question } from './rules/rules.ts'
import { scopeText, type Scope } from './rules/scopes.ts'
import { covers } from './tokens/tokens.ts'

/** Whoever makes one request, and what the rules of that moment allow */
export interface Caller {
  /** Undefined where nobody is asked who he is */
  readonly name: string | undefined
  readonly identity: Identity | undefined
  may: (question: Question) => boolean
  /** @throws OciError UNAUTHORIZED where a log-in may help, else DENIED */
  require: (question: Question) => void
  /**
   * Whether a blob may be taken from one repository into another
   *
   * @param from undefined: wherever it is, which only who may pull everything may without a look
   * @throws OciError UNAUTHORIZED where the rules allow it, but the token is for one of them alone: its challenge names
   * both
   */
  mayMount: (from: string | undefined, to: string) => boolean
  /** What may be pulled by CID, under a name that stands for one */
  pullerFor: (name: string) => Puller
  /**
   * Why an image is not pulled by CID: the same whether it is here or not
   *
   * @returns OciError UNAUTHORIZED where a log-in or a token for it may help, else DENIED
   */
  refusalFor: (name: string) => OciError
  /** Of what belongs to no repository of this registry: whether the action is allowed in every one of them */
  mayEverywhere: (action: Action) => boolean
  /**
   * For whoever asks for nothing in particular: docker learns only then how to log in
   *
   * @throws OciError UNAUTHORIZED where the client shows nothing, and there is something to log in for
   */
  requireLogInIfUseful: () => void
  /** @throws OciError UNAUTHORIZED where the token is not for listings */
  requireCatalog: () => void
  /** Whether strangers may pull from a repository, so that caches may keep what comes from it */
  isPublic: (repository: string) => boolean
  /** Whether a repository is there for the caller in a listing */
  sees: (repository: string) => boolean
  /** @throws OciError UNAUTHORIZED where a log-in may help, else DENIED */
  requireEverywhere: (action: Action, what: string) => void
}

/** The appliance itself, and everybody where there are no rules */
export const trusted: Caller = {
  name: undefined,
  identity: undefined,
  may: () => true,
  require: () => {},
  mayMount: () => true,
  pullerFor: () => pullsEverything,
  refusalFor: name => new OciError('DENIED', { detail: { name } }),
  mayEverywhere: () => true,
  requireLogInIfUseful: () => {},
  requireCatalog: () => {},
  isPublic: () => true,
  sees: () => true,
  requireEverywhere: () => {},
}

export interface CallerInit {
  identity: Identity
  rules: Decisions
  /** What the caller's token was issued for; undefined: anything that the rules allow */
  scopes?: readonly Scope[] | undefined
  /** Headers that tell a client how to log in */
  challenge: Challenge
  /** Is told each decision about what the caller wants to do */
  onDecided?: ((question: Question, decision: Decision) => void) | undefined
  onDenied?: ((question: Question, decision: Decision) => void) | undefined
}

export class IdentifiedCaller implements Caller {
  readonly #init: CallerInit

  constructor(init: CallerInit) {
    this.#init = init
  }

  get name(): string {
    return this.#init.identity.name
  }

  get identity(): Identity {
    return this.#init.identity
  }

  get #isAnonymous(): boolean {
    return this.#init.identity.kind === 'anonymous'
  }

  may(question: Question): boolean {
    return this.#covers(question) && this.#init.rules.decide(this.#init.identity, question).allowed
  }

  require(question: Question): void {
    const { identity, rules, onDecided, onDenied } = this.#init
    const decision = rules.decide(identity, question)
    onDecided?.(question, decision)
    if (decision.allowed && this.#covers(question)) {
      return
    }
    onDenied?.(question, decision)
    const { action, repository, tag } = question
    const what = `${verbs[action]} ${repository}${tag === undefined ? '' : `:${tag}`}`
    throw this.#refusal(decision.allowed, what, scopeText(action, repository))
  }

  mayMount(from: string | undefined, to: string): boolean {
    if (from === undefined) {
      return this.mayEverywhere('pull') && this.may({ action: 'pull', repository: to })
    }
    const { challenge, identity, rules } = this.#init
    const questions: Question[] = [from, to].map(repository => ({ action: 'pull', repository }))
    if (!questions.every(question => rules.decide(identity, question).allowed)) {
      return false
    }
    if (!questions.every(question => this.#covers(question))) {
      throw new OciError('UNAUTHORIZED', {
        detail: { reason: `the token is not for this: get one for ${from} and ${to}` },
        headers: challenge(`${scopeText('push', to)} ${scopeText('pull', from)}`, 'insufficient_scope'),
      })
    }
    return true
  }

  pullerFor(name: string): Puller {
    const { identity, rules } = this.#init
    return pullerOf(rules, identity, this.#covers({ action: 'pull', repository: name }))
  }

  refusalFor(name: string): OciError {
    const { identity, rules } = this.#init
    const isForAnother = !this.#covers({ action: 'pull', repository: name }) && rules.allowsSomewhere(identity, 'pull')
    return this.#refusal(isForAnother, `${verbs.pull} ${name}`, scopeText('pull', name))
  }

  mayEverywhere(action: Action): boolean {
    return this.#init.scopes === undefined && this.#init.rules.allowsEverywhere(this.#init.identity, action)
  }

  requireEverywhere(action: Action, what: string): void {
    const { identity, rules, scopes } = this.#init
    const allowed = rules.allowsEverywhere(identity, action)
    // a token is for one name: by this one, who asked for it may pull what he may pull anyway
    if (!allowed || (scopes !== undefined && !covers(scopes, 'repository', what, action))) {
      throw this.#refusal(allowed, `${verbs[action]} ${what}`, scopeText(action, what))
    }
  }

  requireLogInIfUseful(): void {
    const { challenge, scopes } = this.#init
    if (this.#isAnonymous && scopes === undefined && !everyday.every(action => this.mayEverywhere(action))) {
      throw new OciError('UNAUTHORIZED', { headers: challenge() })
    }
  }

  requireCatalog(): void {
    const { challenge, scopes } = this.#init
    if (scopes !== undefined && !covers(scopes, 'registry', 'catalog', 'pull')) {
      throw new OciError('UNAUTHORIZED', { headers: challenge('registry:catalog:*', 'insufficient_scope') })
    }
  }

  isPublic(repository: string): boolean {
    return this.#init.rules.decide(anonymousFrom(), { action: 'pull', repository }).allowed
  }

  sees(repository: string): boolean {
    const { identity, rules } = this.#init
    return rules.decide(identity, { action: 'pull', repository }).allowed
  }

  #covers({ action, repository }: Question): boolean {
    const { scopes } = this.#init
    return scopes === undefined || covers(scopes, 'repository', repository, action)
  }

  #refusal(allowedByRules: boolean, what: string, scope: string): OciError {
    const { identity, challenge } = this.#init
    if (allowedByRules) {
      return new OciError('UNAUTHORIZED', {
        detail: { reason: `the token is not for this: to ${what}, get one for ${scope}` },
        headers: challenge(scope, 'insufficient_scope'),
      })
    }
    if (this.#isAnonymous) {
      return new OciError('UNAUTHORIZED', { detail: { reason: `log in to ${what}` }, headers: challenge(scope) })
    }
    const lacking = identity.kind === 'key' ? 'no scope' : 'no rule'
    return new OciError('DENIED', { detail: { reason: `${lacking} allows ${identity.name} to ${what}` } })
  }
}

/** What images are pushed and pulled with */
const everyday = ['pull', 'push', 'tag', 'delete'] as const

const verbs: Record<Action, string> = {
  pull: 'pull from',
  push: 'push to',
  tag: 'move tags of',
  delete: 'delete from',
  admin: 'administer',
}
