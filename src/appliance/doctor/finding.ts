export type Outcome = 'ok' | 'warning' | 'wrong'

/** What one check came to, in plain English */
export interface Finding {
  /** What was looked at, such as `free space` */
  check: string
  outcome: Outcome
  found: string
  /** What to do about it; a finding that is ok has none */
  advice?: string
}

export function ok(check: string, found: string): Finding {
  return { check, outcome: 'ok', found }
}

/** The server works, but perhaps not as its operator wants it to */
export function warning(check: string, found: string, advice: string): Finding {
  return { check, outcome: 'warning', found, advice }
}

/** The server does not start, or something that it is configured for does not work */
export function wrong(check: string, found: string, advice: string): Finding {
  return { check, outcome: 'wrong', found, advice }
}
