/**
 * Decides what an identity may do, by rules that only ever add up:
 *
 * 1. A `deny` rule that matches refuses, whatever else matches.
 * 2. Otherwise one `allow` rule that matches is enough.
 * 3. Where none matches, the answer is no.
 *
 * So the order of rules never matters. A rule matches where one of its subjects is the identity, one of its patterns is
 * the repository, one of its actions is asked for, and the tag, if there is one, is one of its tags.
 *
 * A decision must not take longer because there are more rules about others: rules are looked up by subject, and below
 * each subject by the segments of the pattern that hold no wildcard (`team/app/*` is found at `team` and then `app`).
 */
import type { Action } from './actions.ts'
import { globMatcher } from '../../oci/globs.ts'
import type { Identity } from './identity.ts'
import { Networks } from './networks.ts'

export interface Rule {
  /** Where it stands, for whoever asks why: `access.yml, line 12` */
  source: string
  effect: 'allow' | 'deny'
  /**
   * `anonymous` (everybody), `authenticated`, `user:<name>`, `group:<name>`, `issuer:<name>`, `key:<name>`,
   * `cert:<name>`, `peer:<id>`, `swarm` or `network:<address>[/<bits>]`
   */
  subjects: readonly string[]
  /** Globs: `*` within a segment of the name, `**` across segments */
  repositories: readonly string[]
  actions: readonly Action[]
  /** Globs; undefined: any tag, and what has none */
  tags?: readonly string[] | undefined
}

export interface Decision {
  allowed: boolean
  /** The rule that decided; undefined where none matched */
  rule?: Rule | undefined
}

/** Rules, or a part of them */
export interface Decisions {
  decide: (identity: Identity, question: Question) => Decision
  /** Whether an identity may do something to every repository there can be */
  allowsEverywhere: (identity: Identity, action: Action) => boolean
  /** Whether there may be a repository to which an identity may do something */
  allowsSomewhere: (identity: Identity, action: Action) => boolean
}

export interface Question {
  action: Action
  repository: string
  /** @default none */
  tag?: string | undefined
  /** Whether any tag may need what this is about, so that a rule which allows some tags does not allow it */
  concernsAnyTag?: boolean | undefined
}

/** A rule with one of its patterns, ready to be asked */
interface Entry {
  rule: Rule
  matches: (repository: string) => boolean
  matchesTag: ((tag: string) => boolean) | undefined
}

interface Node {
  entries: Entry[]
  below: Map<string, Node>
}

/** The rules about one subject */
interface SubjectNode extends Node {
  allowedSomewhere: Set<Action>
  allowedEverywhere: Set<Action>
  deniedSomewhere: Set<Action>
}

export class Rules implements Decisions {
  readonly all: readonly Rule[]
  readonly #bySubject = new Map<string, SubjectNode>()
  readonly #networks = new Networks()
  /** Of identities that ask again and again, as those of tokens do */
  readonly #known = new WeakMap<Identity, SubjectNode[]>()

  constructor(rules: readonly Rule[]) {
    this.all = rules
    for (const rule of rules) {
      for (const subject of new Set(rule.subjects)) {
        for (const pattern of rule.repositories) {
          this.#add(subject, pattern, rule)
        }
      }
    }
  }

  decide(identity: Identity, question: Question): Decision {
    let allowedBy: Rule | undefined
    const segments = question.repository.split('/')
    for (const node of this.#nodesOf(identity)) {
      const rule = decidingRule(node, segments, question)
      if (rule?.effect === 'deny') {
        return { allowed: false, rule }
      }
      allowedBy ??= rule
    }
    return { allowed: allowedBy !== undefined, rule: allowedBy }
  }

  /**
   * Whether an identity may do something to every repository there can be: by a rule for `**`, and without one that
   * denies anything. What belongs to no repository alone, such as a block that a peer wants, is for these.
   */
  allowsEverywhere(identity: Identity, action: Action): boolean {
    return (
      this.#nodesOf(identity).some(node => node.allowedEverywhere.has(action)) &&
      !this.deniesSomewhere(identity, action)
    )
  }

  /** Whether a rule denies an identity to do something to any repository */
  deniesSomewhere(identity: Identity, action: Action): boolean {
    return this.#nodesOf(identity).some(node => node.deniedSomewhere.has(action))
  }

  /** Whether a rule allows anything to one subject by its own name */
  allowsBySubject(subject: string): boolean {
    return (this.#bySubject.get(subject)?.allowedSomewhere.size ?? 0) > 0
  }

  allowsSomewhere(identity: Identity, action: Action): boolean {
    return this.#nodesOf(identity).some(node => node.allowedSomewhere.has(action))
  }

  #add(subject: string, pattern: string, rule: Rule): void {
    const root = this.#rootOf(subject)
    for (const action of rule.actions) {
      if (rule.effect === 'deny') {
        root.deniedSomewhere.add(action)
        continue
      }
      root.allowedSomewhere.add(action)
      if (rule.tags === undefined && pattern === '**') {
        root.allowedEverywhere.add(action)
      }
    }
    let node: Node = root
    for (const segment of literalSegments(pattern)) {
      const next = node.below.get(segment) ?? { entries: [], below: new Map() }
      node.below.set(segment, next)
      node = next
    }
    node.entries.push({ rule, matches: globMatcher([pattern]), matchesTag: rule.tags && globMatcher(rule.tags) })
  }

  #rootOf(subject: string): SubjectNode {
    const known = this.#bySubject.get(subject)
    if (known !== undefined) {
      return known
    }
    if (subject.startsWith('network:')) {
      this.#networks.add(subject.slice('network:'.length), subject)
    }
    const root = {
      entries: [],
      below: new Map(),
      allowedSomewhere: new Set<Action>(),
      allowedEverywhere: new Set<Action>(),
      deniedSomewhere: new Set<Action>(),
    }
    this.#bySubject.set(subject, root)
    return root
  }

  #nodesOf(identity: Identity): SubjectNode[] {
    const known = this.#known.get(identity)
    if (known !== undefined) {
      return known
    }
    const nodes = this.#subjectsOf(identity).flatMap(subject => this.#bySubject.get(subject) ?? [])
    // whoever shows nothing is another identity with each request
    if (identity.kind !== 'anonymous') {
      this.#known.set(identity, nodes)
    }
    return nodes
  }

  #subjectsOf({ kind, name, groups, issuer, inSwarm, isTrusted, address }: Identity): string[] {
    const subjects = ['anonymous']
    if (kind === 'user') {
      subjects.push(issuer === undefined ? 'authenticated' : `issuer:${issuer}`, `user:${name}`)
    }
    if (kind === 'key' || kind === 'certificate') {
      subjects.push('authenticated', name)
    }
    if (kind === 'peer') {
      subjects.push(`peer:${name}`)
    }
    if (inSwarm === true) {
      subjects.push('swarm')
    }
    if (isTrusted === true) {
      subjects.push('trusted')
    }
    for (const group of groups) {
      subjects.push(`group:${group}`)
    }
    if (address !== undefined) {
      subjects.push(...this.#networks.subjectsOf(address))
    }
    return subjects
  }
}

/** The first rule of one subject that denies what is asked for, or else the first that allows it */
function decidingRule(
  root: Node,
  segments: readonly string[],
  { action, concernsAnyTag = false, repository, tag }: Question,
): Rule | undefined {
  let allowedBy: Rule | undefined
  let node: Node | undefined = root
  for (let depth = 0; node !== undefined; depth++) {
    for (const { rule, matches, matchesTag } of node.entries) {
      if (!rule.actions.includes(action) || !matches(repository)) {
        continue
      }
      if (
        matchesTag !== undefined &&
        (tag === undefined ? concernsAnyTag || rule.effect === 'deny' : !matchesTag(tag))
      ) {
        continue
      }
      if (rule.effect === 'deny') {
        return rule
      }
      allowedBy ??= rule
    }
    node = node.below.get(segments[depth] ?? '')
  }
  return allowedBy
}

/** The segments before the first one with a wildcard */
function literalSegments(pattern: string): string[] {
  const segments = pattern.split('/')
  const first = segments.findIndex(segment => !/^[a-z0-9._-]+$/i.test(segment))
  return first === -1 ? segments : segments.slice(0, first)
}
