import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import type { ReviewedKey } from '../../answers.ts'
import { ApiError } from '../../api.ts'
import { change } from '../../change.ts'
import { Command } from '../../parts/command.ts'
import { announcement } from '../../parts/copy.ts'
import { Field } from '../../parts/field.ts'
import { plain } from '../../parts/texts.ts'
import { Time } from '../../parts/time.ts'
import { AccessList, type ViewProps } from './list.ts'

const day = 86_400
const lifetimes = [
  [String(30 * day), '30 days'],
  [String(90 * day), '90 days'],
  [String(365 * day), 'a year'],
  ['', 'never'],
] as const

interface Made {
  key: ReviewedKey
  secret: string
}

/** API keys: what they may do and until when; new ones are made and old ones revoked here */
export function KeysView({ query }: ViewProps): ComponentChild {
  const [turn, setTurn] = useState(0)
  const [made, setMade] = useState<Made | undefined>()
  return [
    h(NewKeyForm, {
      key: 'new',
      onMade: next => {
        setMade(next)
        setTurn(turn + 1)
      },
    }),
    made !== undefined && h(NewSecret, { key: 'secret', made }),
    h(AccessList<'access/keys'>, {
      key: 'list',
      name: 'access/keys',
      view: 'keys',
      query,
      one: 'API key',
      empty: 'There are none.',
      turn,
      columns: ['Name', 'May', 'Owner', 'Made', 'Expires', 'Last used', 'Revoke'],
      row: (key, again) => ({ key: key.name, cells: cellsOf(key, again) }),
    }),
  ]
}

function cellsOf(
  { created, expired, expires, name, owner, scopes, used }: ReviewedKey,
  again: () => void,
): ComponentChild[] {
  return [
    h('bdi', {}, plain(name)),
    scopes.map((scope, i) => [i > 0 && ', ', h('code', { key: scope }, plain(scope))]),
    owner === undefined ? '–' : h('bdi', {}, plain(owner)),
    h(Time, { at: created }),
    expired ? h('strong', {}, 'expired') : expires === undefined ? 'never' : h(Time, { at: expires }),
    used === undefined ? 'not since the server started' : h(Time, { at: used }),
    h(Revoke, { name, onRevoked: again }),
  ]
}

function NewKeyForm({ onMade }: { onMade: (made: Made) => void }): ComponentChild {
  const [problem, setProblem] = useState<string | undefined>()
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const [name, scopes, owner, lifetime] = ['name', 'scopes', 'owner', 'lifetime'].map(field =>
      String(new FormData(form).get(field) ?? '').trim(),
    ) as [string, string, string, string]
    try {
      const wanted = {
        name,
        scopes: scopes.split(/\s+/),
        ...(owner === '' ? {} : { owner }),
        ...(lifetime === '' ? {} : { lifetime: Number(lifetime) }),
      }
      onMade(await change<Made>('POST', 'access/keys', wanted))
      setProblem(undefined)
      form.reset()
    } catch (err) {
      setProblem(textOf(err))
    }
  }
  return h(
    'details',
    { class: 'panel' },
    h('summary', {}, 'Make a new key'),
    h(
      'form',
      { class: 'form', onSubmit: (event: SubmitEvent) => void onSubmit(event) },
      h(Field, { name: 'name', label: 'Name', hint: 'of the robot, with which it logs in', required: true }),
      h(Field, {
        name: 'scopes',
        label: 'May',
        hint: 'a pattern of repositories, a colon and actions, as in team/**:pull,push,tag; blanks between several',
        required: true,
      }),
      h(Field, { name: 'owner', label: 'Owner', hint: 'a user to ask about it; may stay empty' }),
      h(Field, { name: 'lifetime', label: 'Expires', value: String(90 * day), options: lifetimes }),
      h('p', {}, h('button', { type: 'submit' }, 'Make the key')),
      h('p', { role: 'alert' }, problem !== undefined && h('bdi', {}, plain(problem))),
    ),
  )
}

/** Nobody can see it again */
function NewSecret({ made: { key, secret } }: { made: Made }): ComponentChild {
  const { name } = key
  return h(
    'div',
    { class: 'notice', role: 'status' },
    h('h2', {}, 'The key ', h('bdi', {}, plain(name)), ' is shown only now'),
    h(Command, { text: secret, what: `the key ${name}` }),
    h('p', { class: 'quiet' }, 'It is the password of the user ', h('code', {}, plain(name)), ', and a bearer token.'),
  )
}

/** Asks once more before it does so */
function Revoke({ name, onRevoked }: { name: string; onRevoked: () => void }): ComponentChild {
  const [state, setState] = useState<'idle' | 'asking' | string>('idle')
  if (state === 'idle') {
    const ask = (): void => {
      setState('asking')
    }
    return h('button', { type: 'button', 'aria-label': `Revoke ${plain(name)}`, onClick: ask }, 'Revoke')
  }
  const revoke = async (): Promise<void> => {
    try {
      await change('DELETE', `access/keys?name=${encodeURIComponent(name)}`)
      announcement.value = `Revoked ${plain(name)}`
      onRevoked()
    } catch (err) {
      setState(textOf(err))
    }
  }
  return h(
    'span',
    { class: 'actions' },
    state !== 'asking' && h('span', { role: 'alert' }, plain(state)),
    h('button', { type: 'button', onClick: () => void revoke() }, `Revoke ${plain(name)} for good`),
    h(
      'button',
      {
        type: 'button',
        onClick: () => {
          setState('idle')
        },
      },
      `Keep ${plain(name)}`,
    ),
  )
}

function textOf(err: unknown): string {
  return err instanceof ApiError && err.message !== '' ? err.message : 'The registry does not answer.'
}
