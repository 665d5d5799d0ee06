/** Writes docs/http-reference.md from docs/openapi.yaml: `npm run docs`. A test compares the two. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { tableOf } from './markdown-table.ts'

const docs = join(import.meta.dirname, '../docs')
/** A response of so many operations is described once */
const common = 5
const methods = ['get', 'head', 'post', 'put', 'patch', 'delete']

/** A part of the description; only what the page shows is typed */
interface Part {
  [key: string]: unknown
  $ref?: string
  name?: string
  in?: string
  required?: boolean
  summary?: string
  description?: string
  tags?: string[]
  parameters?: Part[]
  requestBody?: Part
  content?: Record<string, { schema?: Part }>
  responses?: Record<string, Part>
  schema?: Part
}

interface Description {
  tags: { name: string; description: string }[]
  paths: Record<string, Part>
  components: Record<string, Record<string, Part>>
}

const introduction = `# HTTP reference

Requests that IPDR answers beside the
[OCI distribution specification](https://github.com/opencontainers/distribution-spec), from
[openapi.yaml](openapi.yaml), which has the schemas of all bodies as well. [HTTP API](http-api.md) has the overview, and
[administration](operations.md#administration) says who may ask below \`/ipdr/v1\`.`

/** @returns docs/http-reference.md */
export function httpReference(): string {
  const api = parse(readFileSync(join(docs, 'openapi.yaml'), 'utf8')) as Description
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    methods
      .filter(method => item[method] !== undefined)
      .map(method => {
        const operation = item[method] as Part
        const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])]
        return { path, title: `${method.toUpperCase()} ${path}`, operation: { ...operation, parameters } }
      }),
  )
  const shared = sharedResponses(operations.map(({ operation }) => operation))
  const resolve = (part: Part): Part => resolved(api, part)
  const responses = [...shared].map(key => {
    const [status, reference] = key.split(' ') as [string, string]
    const paths = operations.filter(({ operation }) =>
      Object.entries(operation.responses!).map(responseKey).includes(key),
    )
    const below = [...new Set(paths.map(({ path }) => `\`${/^(\/ipdr)?\/\w+/.exec(path)![0]}\``))].join(', ')
    return `**${statusOf(status)}**, below ${below}: ${resolve({ $ref: reference }).description!.trim()}`
  })
  const sections = api.tags.flatMap(({ description, name }) => [
    `## ${description.split(/;|, where/)[0]!}`,
    ...operations
      .filter(({ operation }) => operation.tags?.[0] === name)
      .map(({ operation, title }) => sectionOf(title, operation, { resolve, shared })),
  ])
  return `${[introduction, ...sections, '## Responses of many requests', ...responses].join('\n\n')}\n`
}

function resolved(api: Description, part: Part): Part {
  if (part.$ref === undefined) {
    return part
  }
  const [, kind, name] = /^#\/components\/(\w+)\/(\w+)$/.exec(part.$ref)!
  return resolved(api, api.components[kind!]![name!]!)
}

/** Keys of the responses that many operations have */
function sharedResponses(operations: readonly Part[]): Set<string> {
  const keys = operations.flatMap(({ responses }) => Object.entries(responses!).map(responseKey)).filter(Boolean)
  return new Set(keys.filter(key => keys.filter(other => other === key).length >= common))
}

/** Empty for a response that is described where it stands */
function responseKey([status, { $ref }]: [string, Part]): string {
  return $ref === undefined ? '' : `${status} ${$ref}`
}

function statusOf(status: string): string {
  return status === 'default' ? 'other' : status
}

function sectionOf(
  title: string,
  operation: Part,
  { resolve, shared }: { resolve: (part: Part) => Part; shared: ReadonlySet<string> },
): string {
  const parameters = operation.parameters!.map(resolve)
  const body = operation.requestBody === undefined ? undefined : resolve(operation.requestBody)
  const isShared = (entry: [string, Part]): boolean => shared.has(responseKey(entry))
  const responses = Object.entries(operation.responses!)
  const own = responses.filter(entry => !isShared(entry))
  const others = responses.filter(isShared).map(([status]) => statusOf(status))
  return [
    `### ${title}`,
    sentence(operation.summary ?? ''),
    ...(operation.description === undefined ? [] : [operation.description.trim()]),
    ...(parameters.length === 0 ? [] : [tableOf(['parameter', 'in', 'meaning'], parameters.map(parameterRow))]),
    ...(body === undefined ? [] : [`Body: ${bodyOf(body, resolve)}`]),
    tableOf(
      ['status', 'meaning'],
      own.map(([status, response]) => [statusOf(status), resolve(response).description!]),
    ),
    ...(others.length === 0 ? [] : [`And [of many requests](#responses-of-many-requests): ${others.join(', ')}.`]),
  ].join('\n\n')
}

function parameterRow({ description = '', in: place, name, required }: Part): string[] {
  return [`\`${name}\``, `${place}${required === true && place !== 'path' ? ', required' : ''}`, description]
}

/** Media types, and the members where it is an object of JSON */
function bodyOf(body: Part, resolve: (part: Part) => Part): string {
  return Object.entries(body.content!)
    .map(([type, { schema }]) => {
      const members = Object.keys((resolve(schema ?? {})['properties'] as object | undefined) ?? {})
      return `\`${type}\`${members.length === 0 ? '' : ` with ${members.map(member => `\`${member}\``).join(', ')}`}`
    })
    .join(' or ')
    .concat('.')
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

if (import.meta.main) {
  writeFileSync(join(docs, 'http-reference.md'), httpReference())
}
