import { h, type ComponentChild } from 'preact'

/** Leads to the parts of a list before and after this one */
export function Pager({
  from,
  limit,
  total,
  link,
}: {
  from: number
  limit: number
  total: number
  link: (from: number) => string
}): ComponentChild {
  if (total <= limit && from === 0) {
    return null
  }
  const last = Math.min(from + limit, total)
  return h(
    'nav',
    { class: 'pager', 'aria-label': 'Pages of the list' },
    from > 0 ? h('a', { href: link(Math.max(from - limit, 0)), rel: 'prev' }, '← Previous') : h('span', {}),
    h(
      'span',
      { class: 'quiet' },
      `${(from + 1).toLocaleString('en')}–${last.toLocaleString('en')} of ${total.toLocaleString('en')}`,
    ),
    last < total ? h('a', { href: link(from + limit), rel: 'next' }, 'Next →') : h('span', {}),
  )
}
