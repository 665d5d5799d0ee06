import { type Finding, ok, warning } from './finding.ts'

export interface OtherClock {
  /** Who has it */
  whose: string
  /** Milliseconds by which it is ahead of ours; negative: behind */
  skew: number
}

const second = 1000
/** Tokens are made a little early and used a little late; milliseconds */
const mostSkew = 30 * second

/** @param clocks those of whoever answered */
export function checkClock(clocks: readonly OtherClock[]): Finding[] {
  const check = 'clock'
  const off = clocks.filter(({ skew }) => Math.abs(skew) > mostSkew)
  if (off.length > 0) {
    return off.map(({ skew, whose }) =>
      warning(
        check,
        `this machine is ${Math.round(Math.abs(skew) / second)} s ${skew > 0 ? 'behind' : 'ahead of'} ${whose}, ` +
          'so tokens may count as expired or as not valid yet',
        'Synchronise the clocks of both (timedatectl shows whether NTP runs here).',
      ),
    )
  }
  const names = clocks.map(({ whose }) => whose).join(', ')
  return [ok(check, names === '' ? 'there is nobody to compare it with' : `agrees with ${names}`)]
}
