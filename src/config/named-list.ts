/* Lists whose items have a name and a URL, and may be written in short: `upstreams` and `webhooks` */

/**
 * A text, `NAME=URL`, becomes a mapping; so does an item of a mapping of names, of which only the URL may be given
 */
export function toList(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(item => (typeof item === 'string' ? fromText(item) : item))
  }
  if (typeof value !== 'object' || value === null) {
    return value
  }
  return Object.entries(value).map(([name, item]: [string, unknown]) =>
    typeof item === 'string' ? { name, url: item } : typeof item === 'object' ? { ...item, name } : item,
  )
}

function fromText(item: string): { name: string; url?: string } {
  const [name = '', ...url] = item.split('=')
  return url.length === 0 ? { name } : { name, url: url.join('=') }
}

/** For a list whose items are known by their names */
export function requireDistinct(
  listed: ReadonlyArray<{ name: string }>,
  context: { addIssue: (issue: { code: 'custom'; message: string; path: PropertyKey[] }) => void },
): void {
  for (const [index, { name }] of listed.entries()) {
    if (listed.slice(0, index).some(other => other.name === name)) {
      context.addIssue({ code: 'custom', message: 'is listed twice', path: [index, 'name'] })
    }
  }
}

/** The message about an item: which key is unknown, or which form it must have */
export function unknownKeyOr(form: string): (issue: { code?: string | undefined; keys?: unknown }) => string {
  return ({ code, keys }) =>
    code === 'unrecognized_keys' && Array.isArray(keys) ? `has an unknown key, ${keys.map(String).join(', ')}` : form
}
