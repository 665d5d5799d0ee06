import { h, type ComponentChild } from 'preact'
import { plain } from '../../parts/texts.ts'
import { Time } from '../../parts/time.ts'
import { AccessList, type ViewProps } from './list.ts'

/** Milliseconds */
const refresh = 10_000

/** Log-ins that failed since the server started; names that no user has are not shown, as they may be passwords */
export function FailuresView({ query }: ViewProps): ComponentChild {
  return [
    h(
      'p',
      { class: 'quiet', key: 'about' },
      'The latest since the server started. Names that nobody has are not shown: people also type passwords there.',
    ),
    h(AccessList<'access/failures'>, {
      key: 'list',
      name: 'access/failures',
      view: 'failures',
      query,
      one: 'failed log-in',
      empty: 'No log-in has failed.',
      every: refresh,
      columns: ['User', 'From', 'Why', 'Times', 'Last'],
      row: ({ address, count, last, reason, user }) => ({
        key: `${user} ${address} ${reason}`,
        cells: [
          user === undefined ? 'an unknown name' : h('bdi', {}, plain(user)),
          address ?? '–',
          h('bdi', {}, plain(reason)),
          count.toLocaleString('en'),
          h(Time, { at: last }),
        ],
      }),
    }),
  ]
}
