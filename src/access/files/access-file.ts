/**
 * The file with the rules, `access.yml` (access-schema.ts has all that may stand there, issuer.ts its `issuers`):
 *
 * ```yaml
 * groups:
 *   developers: [alice, bob]
 * rules:
 *   - who: [anonymous]
 *     repositories: ['public/**']
 *     actions: [pull]
 *   - who: [group:developers]
 *     repositories: ['**']
 *     actions: [pull, push, tag]
 *   - who: [anonymous]
 *     repositories: ['**']
 *     actions: [tag, delete]
 *     tags: ['v*']
 *     effect: deny
 * ```
 */
import { createHash } from 'node:crypto'
import { LineCounter, parseDocument, type Document } from 'yaml'
import type { z } from 'zod'
import { accessFileSchema } from './access-schema.ts'
import { AccessFileError, type Problem } from './errors.ts'
import type { Issuer } from '../issuers/issuer.ts'
import type { Trust } from './peer-trust.ts'
import { Rules, type Rule } from '../rules/rules.ts'

/** What a file with rules says */
export interface AccessRules {
  rules: Rules
  /** Members of each group */
  groups: Readonly<Record<string, readonly string[]>>
  /** Of a user, by the groups of the file */
  groupsOf: (user: string) => string[]
  /** SHA-256 of the file, to tell one from another */
  digest: string
  /** Whose tokens are a log-in here, by name */
  issuers: ReadonlyMap<string, Issuer>
  /** Whose certificates of peers count; undefined: nobody's */
  trust?: Trust | undefined
}

/**
 * @param name of the file, for messages
 * @throws AccessFileError with every problem, each with its line and column
 */
export function parseAccessFile(name: string, text: string): AccessRules {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    throw new AccessFileError(
      name,
      document.errors.map(({ message, pos }) => ({ ...position(lines, pos[0]), message: message.split('\n')[0]! })),
    )
  }
  const parsed = accessFileSchema.safeParse(valuesOf(name, document))
  if (!parsed.success) {
    throw new AccessFileError(
      name,
      parsed.error.issues.flatMap(issue => problemsOf(issue, document, lines)),
    )
  }
  const { groups, issuers, rules, trust } = parsed.data
  const groupsByUser = Map.groupBy(
    Object.entries(groups).flatMap(([group, users]) => users.map(user => ({ group, user }))),
    ({ user }) => user,
  )
  return {
    rules: new Rules(
      rules.map(({ who, ...rule }, i): Rule => {
        const { line } = placeOf(['rules', i], document, lines)
        return { ...rule, subjects: who, source: `${name}, line ${line}` }
      }),
    ),
    digest: `sha256:${createHash('sha256').update(text).digest('hex')}`,
    groups,
    groupsOf: user => groupsByUser.get(user)?.map(({ group }) => group) ?? [],
    trust: trust && { keys: new Set(trust.keys), revoked: new Set(trust.revoked) },
    issuers: new Map(Object.entries(issuers).map(([key, issuer]) => [key, { name: key, ...issuer }])),
  }
}

/** @throws AccessFileError where an alias leads nowhere, or to too much */
function valuesOf(name: string, document: Document): unknown {
  try {
    return document.toJS()
  } catch (err) {
    throw new AccessFileError(name, [{ line: 1, column: 1, message: (err as Error).message.split('\n')[0]! }])
  }
}

function problemsOf(issue: z.core.$ZodIssue, document: Document, lines: LineCounter): Problem[] {
  const path = issue.path as (string | number)[]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      ...placeOf([...path, key], document, lines),
      message: `${[...path, key].join('.')}: unknown key`,
    }))
  }
  return [{ ...placeOf(path, document, lines), message: `${path.join('.') || 'file'}: ${issue.message}` }]
}

/** Of what has this path, or of the nearest thing around it */
function placeOf(path: readonly (string | number)[], document: Document, lines: LineCounter): Omit<Problem, 'message'> {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] } | undefined
    if (node?.range !== undefined) {
      return position(lines, node.range[0])
    }
  }
  return { line: 1, column: 1 }
}

function position(lines: LineCounter, offset: number): Omit<Problem, 'message'> {
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}
