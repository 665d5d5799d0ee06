import { h, type ComponentChild } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { ImageDetails, Move } from '../answers.ts'
import { ask, type ApiError } from '../api.ts'
import { lastChangeOf, outcome, setTag } from '../changes.ts'
import { Dialog, Problem } from '../parts/dialog.ts'
import { problemOf, shortDigest } from '../parts/texts.ts'
import { linkTo } from '../router.ts'

/** Milliseconds without a key before the server is asked about a tag */
const pause = 200
/** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
const tagPattern = /^\w[\w.-]{0,127}$/

/** Gives an image another tag, and says before if that is taken from another image */
export function TagDialog({ image, onClose }: { image: ImageDetails; onClose: () => void }): ComponentChild {
  const { digest, repository } = image
  const [tag, setTagText] = useState('')
  const [problem, setProblem] = useState<string | undefined>()
  const [isBusy, setBusy] = useState(false)
  const isTag = tagPattern.test(tag)
  const move = useMove({ repository, digest, tag: isTag ? tag : '' }, setProblem)
  const isSame = move?.before === digest
  const mayGo = move !== undefined && move.refused === undefined && !isSame
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (!mayGo || isBusy) {
      return
    }
    setBusy(true)
    try {
      await setTag(image, tag)
      const text = move.before === undefined ? `${tag} leads to this image now.` : `${tag} was moved to this image.`
      outcome.value = { text, undo: await lastChangeOf(repository, tag) }
      location.hash = linkTo(repository, tag)
      onClose()
    } catch (err) {
      setProblem(problemOf(err as ApiError))
      setBusy(false)
    }
  }
  return h(
    Dialog,
    { title: 'Tag this image', onClose },
    h(
      'form',
      { onSubmit: (event: Event) => void onSubmit(event) },
      h(
        'label',
        { class: 'field' },
        'Tag',
        h('input', {
          class: 'search',
          value: tag,
          maxLength: 128,
          autoComplete: 'off',
          spellcheck: false,
          onInput: (event: Event) => {
            setTagText((event.currentTarget as HTMLInputElement).value)
          },
        }),
      ),
      h('p', { class: 'quiet', role: 'status' }, consequence(tag, isTag, move, isSame)),
      problem !== undefined && h(Problem, { text: problem }),
      h(
        'div',
        { class: 'actions' },
        h(
          'button',
          { type: 'submit', disabled: !mayGo || isBusy },
          move?.before === undefined ? 'Add the tag' : 'Move the tag',
        ),
        h('button', { type: 'button', onClick: onClose }, 'Cancel'),
      ),
    ),
  )
}

/** What the server says of a tag, once somebody has stopped typing */
function useMove(
  query: { repository: string; digest: string; tag: string },
  setProblem: (text: string | undefined) => void,
): Move | undefined {
  const [move, setMove] = useState<Move | undefined>()
  useEffect(() => {
    setMove(undefined)
    setProblem(undefined)
    if (query.tag === '') {
      return
    }
    const controller = new AbortController()
    const timer = setTimeout(() => {
      ask('move', query, controller.signal).then(setMove, (err: ApiError) => {
        if (!controller.signal.aborted) {
          setProblem(problemOf(err))
        }
      })
    }, pause)
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [query.tag])
  return move
}

function consequence(tag: string, isTag: boolean, move: Move | undefined, isSame: boolean): string {
  if (!isTag) {
    return tag === ''
      ? 'A new tag, or one of another image.'
      : 'A tag has letters, digits, _, - and ., and begins with neither - nor .'
  }
  if (move === undefined) {
    return 'Looking…'
  }
  if (isSame) {
    return `${tag} leads to this image already.`
  }
  if (move.refused === 'immutable') {
    return `${tag} is immutable: it leads to another image, and can’t be moved.`
  }
  if (move.refused === 'not allowed') {
    return `The rules of this registry do not let you ${move.before === undefined ? 'set' : 'move'} ${tag}.`
  }
  const final = move.isFinal ? ' It is immutable: it can’t be moved or deleted afterwards.' : ''
  return move.before === undefined
    ? `${tag} is new here.${final}`
    : `${tag} leads to ${shortDigest(move.before)} now. That image stays, by its digest or its other tags.${final}`
}
