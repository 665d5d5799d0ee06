import { h, type ComponentChild } from 'preact'
import { useId, useState } from 'preact/hooks'
import type { Session } from '../answers.ts'
import { isTokenRefused, keepToken } from '../credentials.ts'
import { hasImages } from '../router.ts'
import { session } from '../session.ts'
import { Command } from './command.ts'
import { Problem } from './dialog.ts'
import { LogInLinks } from './log-in.ts'
import { Notice } from './notice.ts'

/** Milliseconds */
const timeout = 30_000

/** Where the admin token is typed, which lets whoever has it administer */
export function TokenForm(): ComponentChild {
  const id = useId()
  const [problem, setProblem] = useState<string | undefined>(
    isTokenRefused.value ? 'The admin token that you gave does not count any more.' : undefined,
  )
  const [isBusy, setBusy] = useState(false)
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const given = String(new FormData(event.target as HTMLFormElement).get('token')).trim()
    setBusy(true)
    setProblem(undefined)
    const refusal = await refusalOf(given)
    setBusy(false)
    if (refusal === undefined) {
      keepToken(given)
    } else {
      setProblem(refusal)
    }
  }
  return h(
    Notice,
    { title: 'Log in as administrator' },
    h(
      'p',
      {},
      hasImages
        ? 'This registry is open: everybody may pull, push and delete. Its admin token lets you administer it, too.'
        : 'The admin token of this registry lets you administer it.',
    ),
    h(
      'form',
      { onSubmit: (event: SubmitEvent) => void onSubmit(event), class: 'token' },
      h(
        'div',
        { class: 'field' },
        h('label', { for: id }, 'Admin token'),
        h('input', {
          id,
          name: 'token',
          type: 'password',
          required: true,
          maxLength: 4096,
          autoComplete: 'off',
          spellcheck: false,
          'aria-describedby': `${id}-hint`,
        }),
      ),
      !window.isSecureContext &&
        h(
          'label',
          { class: 'choice' },
          h('input', { type: 'checkbox', required: true }),
          h(
            'span',
            {},
            'Send it without TLS: whoever listens to the network between here and the registry can read it',
          ),
        ),
      h('button', { type: 'submit', disabled: isBusy }, 'Log in'),
      h(Problem, { text: problem }),
    ),
    h(Where, { id: `${id}-hint` }),
    (session.value?.logIn.length ?? 0) > 0 && [
      h('p', { key: 'or' }, 'Or log in as somebody whom the rules of this registry let administer it:'),
      h(LogInLinks, { key: 'links' }),
    ],
  )
}

/** Where the token is found */
function Where({ id }: { id: string }): ComponentChild {
  return [
    h(
      'p',
      { class: 'quiet', id, key: 'where' },
      'It is in the file ',
      h('code', {}, 'admin.token'),
      ' of the data directory, or where ',
      h('code', {}, 'admin.tokenFile'),
      ' says. Its owner reads it where the server runs, or in its container:',
    ),
    h(Command, { text: 'cat ./data/admin.token', what: 'the command', key: 'host' }),
    h(Command, {
      text: 'docker exec ipdr cat /data/admin.token',
      what: 'the command for a container',
      key: 'container',
    }),
    h('p', { class: 'quiet', key: 'kept' }, 'This tab forgets it when you log out or close it.'),
  ]
}

/** Why a token does not let administer; undefined where it does */
async function refusalOf(token: string): Promise<string | undefined> {
  const wrong = 'This is not the admin token of this registry.'
  if (!/^[\x21-\x7e]+$/.test(token)) {
    return wrong
  }
  try {
    const headers = { Authorization: `Bearer ${token}` }
    const response = await fetch('ui/api/session', { headers, signal: AbortSignal.timeout(timeout) })
    if (response.ok) {
      return ((await response.json()) as Session).mayAdminister ? undefined : wrong
    }
    return response.status === 401 ? wrong : `The registry answers with status ${response.status}.`
  } catch {
    return 'The registry does not answer.'
  }
}
