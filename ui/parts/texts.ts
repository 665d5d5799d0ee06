/** Characters that change how others are shown: controls, marks of direction, those without width */
const invisible = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff]/gu

/**
 * A text of a stranger so that it is shown as what it is: what can't be seen becomes its code point. Lines and tabs
 * stay.
 */
export function plain(text: string): string {
  return text.replace(invisible, character =>
    character === '\n' || character === '\t'
      ? character
      : `⟨U+${character.codePointAt(0)!.toString(16).padStart(4, '0').toUpperCase()}⟩`,
  )
}

const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Bytes as people read them, with three digits: `12.3 MB` */
export function formatSize(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1)
  const value = bytes / 1000 ** power
  const digits = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${bytes === 1 ? 'byte' : units[power]}`
}

/** `1,234 tags`, `1 tag` */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? singular : plural}`
}

/** The algorithm and the first digits of a digest, which tell one from another */
export function shortDigest(digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':')
  return `${algorithm}:${hex.slice(0, 12)}`
}

/** The folders that a name is in, outermost first: `a/` and `a/b/` for `a/b/c` */
export function foldersOf(name: string): { folder: string; part: string }[] {
  const parts = name.split('/').slice(0, -1)
  return parts.map((part, i) => ({ folder: `${parts.slice(0, i + 1).join('/')}/`, part: `${part}/` }))
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
]
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** `3 hours ago` */
export function formatAge(time: Date, now = Date.now()): string {
  const seconds = (time.getTime() - now) / 1000
  const [unit, length] = steps.find(([, length]) => Math.abs(seconds) >= length) ?? []
  return unit === undefined || length === undefined ? 'just now' : relative.format(Math.round(seconds / length), unit)
}

const durations = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const

/** Seconds as people say them: `7 days` */
export function formatDuration(seconds: number): string {
  const [unit, length] = durations.find(([, length]) => seconds % length === 0) ?? ['second', 1]
  return count(seconds / length, unit)
}

/** Why something that somebody wanted to change did not change, as a sentence */
export function problemOf({ message, status }: { message: string; status: number }): string {
  const reasons: Record<number, string> = {
    0: 'The registry does not answer.',
    401: 'Log in to do this.',
    404: 'It is not there any more.',
    429: 'Too many requests: wait a moment.',
  }
  const text = plain(message)
  return reasons[status] ?? (text === '' ? 'This did not work.' : `${text[0]!.toUpperCase()}${text.slice(1)}.`)
}
