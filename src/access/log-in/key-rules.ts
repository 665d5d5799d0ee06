import { parseKeyScope, type ApiKey } from '../files/api-keys.ts'
import type { Action } from '../rules/actions.ts'
import type { Identity } from '../rules/identity.ts'
import { Rules, type Decision, type Decisions, type Question } from '../rules/rules.ts'

/** Made once for a key, and not with each request */
const compiled = new WeakMap<object, Rules>()

/**
 * What an API key may do: what one of its scopes names, unless a rule of the file denies it to everybody, to who is
 * logged in, to this key or to the network it is used from. What the file allows adds nothing to the scopes, so a key
 * never does more than it says.
 */
export class KeyRules implements Decisions {
  readonly #file: Rules
  readonly #scopes: Rules

  constructor({ file, key }: { file: Rules; key: Pick<ApiKey, 'name' | 'scopes'> }) {
    this.#file = file
    this.#scopes = compiled.get(key) ?? rulesOf(key)
    compiled.set(key, this.#scopes)
  }

  decide(identity: Identity, question: Question): Decision {
    const decision = this.#file.decide(identity, question)
    // of others too: whether strangers may pull from a repository says the file alone
    return identity.kind !== 'key' || decision.rule?.effect === 'deny'
      ? decision
      : this.#scopes.decide(identity, question)
  }

  allowsEverywhere(identity: Identity, action: Action): boolean {
    return this.#scopes.allowsEverywhere(identity, action) && !this.#file.deniesSomewhere(identity, action)
  }

  allowsSomewhere(identity: Identity, action: Action): boolean {
    return this.#scopes.allowsSomewhere(identity, action)
  }
}

function rulesOf({ name, scopes }: Pick<ApiKey, 'name' | 'scopes'>): Rules {
  return new Rules(
    scopes.map(scope => {
      const { repositories, actions } = parseKeyScope(scope)
      const source = `scope ${scope} of the key ${name}`
      return { source, effect: 'allow', subjects: [`key:${name}`], repositories: [repositories], actions }
    }),
  )
}
