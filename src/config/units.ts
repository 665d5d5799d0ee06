const second = 1
const minute = 60 * second
const hour = 60 * minute

const durationUnits = new Map([
  ['ms', second / 1000],
  ['s', second],
  ['m', minute],
  ['h', hour],
  ['d', 24 * hour],
])

const sizeUnits = new Map([
  ['B', 1],
  ['kB', 1e3],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
])

/** Seconds: a number, or a text such as `500ms`, `10s`, `1.5m`, `2h`, `1d`; undefined where it is neither */
export function parseDuration(value: unknown): number | undefined {
  return parseAmount(value, durationUnits)
}

/** Bytes: a whole number, or a text such as `512KiB`, `4MiB`, `2GB`; undefined where it is neither */
export function parseSize(value: unknown): number | undefined {
  const bytes = parseAmount(value, sizeUnits)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

function parseAmount(value: unknown, units: Map<string, number>): number | undefined {
  if (typeof value === 'number') {
    return Number.isFinite(value) ? value : undefined
  }
  const match = typeof value === 'string' ? /^(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]*)$/.exec(value) : null
  const unit = match?.[2] === '' ? 1 : units.get(match?.[2] ?? '')
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit
}
