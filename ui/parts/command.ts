import { h, type ComponentChild } from 'preact'
import { CopyButton } from './copy.ts'

/** A command to type into a terminal */
export function Command({ text, what }: { text: string; what: string }): ComponentChild {
  return h(
    'div',
    { class: 'command' },
    h('pre', { tabIndex: 0, role: 'group', 'aria-label': what }, h('code', {}, text)),
    h(CopyButton, { text, what }),
  )
}

/** The name of this registry in names of images */
export const host = location.host

export const isSecure = location.protocol === 'https:'

/** Whether docker needs no setting to speak to this registry without TLS */
export const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host)
