/**
 * The file with the rules, `access.yml`:
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
import { LineCounter, parseDocument, type Document } from 'yaml'
import { z } from 'zod'
import { actions } from './actions.ts'
import { AccessFileError, type Problem } from './errors.ts'
import { parseNetwork, Rules, type Rule } from './rules.ts'

/** What a file with rules says */
export interface AccessRules {
  rules: Rules
  /** Of a user, by the groups of the file */
  groupsOf: (user: string) => string[]
}

/** A name may be none that ends a field of htpasswd or of Basic authentication */
export const userName = /^[^\s:\p{Cc}]{1,255}$/u

/** Globs of repositories and tags */
export const repositoryPattern = /^[A-Za-z0-9._*?{},[\]!/:+-]{1,512}$/

const subject = z
  .string({ error: 'must be a text such as user:alice' })
  .refine(
    text =>
      /^(anonymous|authenticated|swarm|peer:[A-Za-z0-9]{1,128}|key:[A-Za-z0-9._-]{1,128})$/.test(text) ||
      /^(user|group):[^\s:\p{Cc}]{1,255}$/u.test(text) ||
      (text.startsWith('network:') && isNetwork(text.slice('network:'.length))),
    {
      error:
        'must be anonymous, authenticated, swarm, user:<name>, group:<name>, key:<name>, peer:<id> or ' +
        'network:<address>[/<bits>]',
    },
  )
const pattern = z
  .string({ error: 'must be a pattern such as team/**' })
  .regex(repositoryPattern, { error: 'must be a pattern such as team/**' })
const list = <T extends z.ZodType>(item: T): z.ZodArray<T> =>
  z.array(item, { error: 'must be a list' }).min(1, { error: 'must not be empty' })
const fileSchema = z.strictObject(
  {
    groups: z
      .record(
        z.string().regex(/^[^\s:\p{Cc}]{1,255}$/u, { error: 'must be a name without blanks and colons' }),
        list(z.string({ error: 'must be a user name' }).regex(userName, { error: 'must be a user name' })),
        { error: 'must be a mapping of groups to lists of users' },
      )
      .default({}),
    rules: z.array(
      z
        .strictObject(
          {
            who: list(subject),
            repositories: list(pattern),
            actions: list(z.enum(actions, { error: `must be one of ${actions.join(', ')}` })),
            tags: list(pattern).optional(),
            effect: z.enum(['allow', 'deny'], { error: 'must be allow or deny' }).default('allow'),
          },
          { error: 'must be a rule with who, repositories and actions' },
        )
        .superRefine(({ who, effect }, context) => {
          const index = effect === 'deny' ? -1 : who.findIndex(name => name.startsWith('key:'))
          if (index >= 0) {
            const message = 'a key may do what its scopes say: a rule can only deny it something'
            context.addIssue({ code: 'custom', path: ['who', index], message })
          }
        }),
      { error: 'must be a list of rules' },
    ),
  },
  { error: 'must be a mapping with the key rules' },
)

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
  const parsed = fileSchema.safeParse(valuesOf(name, document))
  if (!parsed.success) {
    throw new AccessFileError(
      name,
      parsed.error.issues.flatMap(issue => problemsOf(issue, document, lines)),
    )
  }
  const { groups, rules } = parsed.data
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
    groupsOf: user => groupsByUser.get(user)?.map(({ group }) => group) ?? [],
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

function isNetwork(text: string): boolean {
  try {
    parseNetwork(text)
    return true
  } catch {
    return false
  }
}
