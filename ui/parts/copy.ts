import { signal } from '@preact/signals'
import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'

/** What was done last, for who can't see it; frame.ts has it read aloud */
export const announcement = signal('')

const shownFor = 2000

/** A button that copies a text */
export function CopyButton({ text, what }: { text: string; what: string }): ComponentChild {
  const [done, setDone] = useState<'copied' | 'failed' | undefined>()
  const onClick = async (): Promise<void> => {
    const isCopied = await copy(text)
    announcement.value = isCopied ? `Copied ${what}` : `${what} could not be copied`
    setDone(isCopied ? 'copied' : 'failed')
    setTimeout(() => {
      setDone(undefined)
      announcement.value = ''
    }, shownFor)
  }
  const label = done === 'copied' ? 'Copied' : done === 'failed' ? 'Select it' : 'Copy'
  return h('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${what}`, onClick }, label)
}

/** A text in one line, to select or copy */
export function Copyable({ text, what, shown = text }: { text: string; what: string; shown?: string }): ComponentChild {
  return h('span', { class: 'copyable' }, h('code', { title: text }, shown), h(CopyButton, { text, what }))
}

/** Without TLS, browsers keep the clipboard from pages of other machines than their own; the old way works there */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = Object.assign(document.createElement('textarea'), { value: text, className: 'offscreen' })
    const focused = document.activeElement as HTMLElement | null
    document.body.append(area)
    area.select()
    const isCopied = document.execCommand('copy')
    area.remove()
    focused?.focus()
    return isCopied
  }
}
