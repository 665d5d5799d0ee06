import { h, type ComponentChild } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { count } from './texts.ts'

/** Milliseconds without a key before a search begins */
const pause = 150

/** A field that searches while somebody types; the key `/` leads to it */
export function Search({
  label,
  placeholder,
  value,
  onSearch,
  onEnter,
}: {
  label: string
  placeholder: string
  value: string
  onSearch: (text: string) => void
  onEnter?: () => void
}): ComponentChild {
  const input = useRef<HTMLInputElement>(null)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const [text, setText] = useState(value)
  useEffect(() => {
    // by a link, or by going back
    setText(value)
  }, [value])
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as Element).tagName)
      if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault()
        input.current?.focus()
      }
    }
    addEventListener('keydown', onKey)
    return () => {
      removeEventListener('keydown', onKey)
      clearTimeout(timer.current)
    }
  }, [])
  const search = (next: string): void => {
    clearTimeout(timer.current)
    onSearch(next)
  }
  return h('input', {
    ref: input,
    type: 'search',
    class: 'search',
    'aria-label': label,
    placeholder,
    value: text,
    autoComplete: 'off',
    spellcheck: false,
    maxLength: 300,
    onInput: (event: Event) => {
      const next = (event.currentTarget as HTMLInputElement).value
      setText(next)
      clearTimeout(timer.current)
      timer.current = setTimeout(() => {
        search(next)
      }, pause)
    },
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === 'Enter') {
        search(text)
        onEnter?.()
      }
    },
  })
}

/** Says that a search has not looked at all images, and has it go on */
export function Unsearched({
  again,
  unsearched = 0,
}: {
  unsearched?: number | undefined
  again: () => void
}): ComponentChild {
  return unsearched === 0
    ? null
    : h(
        'p',
        { class: 'quiet' },
        `${count(unsearched, 'image')} not looked at yet. `,
        h('button', { type: 'button', onClick: again }, 'Look further'),
      )
}
