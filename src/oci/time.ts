const form = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/

/**
 * Reads a time with its zone, such as `2026-11-30T14:02:11.803Z` or `2026-11-30T15:02+01:00`; undefined where it is no
 * such time
 *
 * @see https://www.rfc-editor.org/rfc/rfc3339 but that the seconds may be left out
 */
export function parseTime(text: string): Date | undefined {
  const day = form.exec(text)?.[1]
  const time = new Date(day === undefined ? NaN : text)
  // a Date takes the 30th of February for the 2nd of March
  const isDay = day !== undefined && !Number.isNaN(time.getTime()) && new Date(day).toISOString().startsWith(day)
  return isDay ? time : undefined
}
