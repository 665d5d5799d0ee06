import { h, type ComponentChild } from 'preact'

/** Names and what they are; those of undefined are left out */
export function Facts({
  facts,
}: {
  facts: readonly (readonly [name: string, value: ComponentChild])[]
}): ComponentChild {
  return h(
    'dl',
    { class: 'facts' },
    facts
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => h('div', { key: name }, h('dt', {}, name), h('dd', {}, value))),
  )
}

/** A part of a page with a heading */
export function Part({ title, children }: { title: string; children?: ComponentChild }): ComponentChild {
  return h('section', { class: 'part', 'aria-label': title }, h('h2', {}, title), children)
}
