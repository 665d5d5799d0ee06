import { h, type ComponentChild, type ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** A window over the page, which keeps the keyboard until it is closed; Escape closes it */
export function Dialog({
  children,
  onClose,
  title,
}: {
  title: string
  onClose: () => void
  children?: ComponentChildren
}): ComponentChild {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  return h('dialog', { ref: dialog, 'aria-label': title, onClose }, h('h2', {}, title), children)
}

/** What went wrong with what somebody did, read aloud at once */
export function Problem({ text }: { text: string | undefined }): ComponentChild {
  return h('p', { class: 'problem', role: 'alert' }, text)
}
