import { h, type ComponentChild } from 'preact'
import { useId } from 'preact/hooks'

/** A field of a form with its label and a hint */
export function Field({
  hint,
  label,
  name,
  options,
  pattern,
  required = false,
  value = '',
}: {
  name: string
  label: string
  value?: string
  hint?: string
  /** Makes it a choice: values, each with its text or as it is */
  options?: readonly (string | readonly [value: string, text: string])[]
  pattern?: string
  required?: boolean
}): ComponentChild {
  const id = useId()
  const common = { id, name, 'aria-describedby': hint === undefined ? undefined : `${id}-hint` }
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    options === undefined
      ? h('input', {
          ...common,
          defaultValue: value,
          pattern,
          required,
          maxLength: 300,
          autoComplete: 'off',
          spellcheck: false,
          key: value,
        })
      : h(
          'select',
          { ...common, key: value },
          options.map(option => {
            const [key, text] = typeof option === 'string' ? [option, option] : option
            return h('option', { key, value: key, selected: key === value }, text)
          }),
        ),
    hint !== undefined && h('p', { class: 'quiet hint', id: `${id}-hint` }, hint),
  )
}
