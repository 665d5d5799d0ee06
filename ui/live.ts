import { computed, effect, signal } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { useAnswer, type Answers, type Asked } from './api.ts'
import { fetchWithToken, generation } from './credentials.ts'

/*
 * What changes while somebody looks comes by one connection, which there is only while a page that is seen wants it.
 * Without it, as where the server has too many, pages ask again now and then.
 */

/** Pages that the server tells of as they change */
type Followed = 'network' | 'storage'

/** Milliseconds until the next try, which doubles with each failure */
const [firstRetry, lastRetry] = [1000, 60_000]
/** Milliseconds between two questions where there is no connection */
const fallback = 10_000

interface Want {
  of?: Followed
  onReport?: (report: unknown) => void
  /** Repositories that have changed; none: any may have */
  onImages?: (repositories: readonly string[]) => void
}

const wants = signal<readonly Want[]>([])
const isSeen = signal(document.visibilityState === 'visible')
/** Whether the server tells of changes, so that nobody has to ask */
export const isConnected = signal(false)

document.addEventListener('visibilitychange', () => {
  isSeen.value = document.visibilityState === 'visible'
})

/** What the connection is to be about; undefined: there is to be none */
const topic = computed(() => {
  const of = wants.value.find(want => want.of !== undefined)?.of ?? ''
  return wants.value.length === 0 || !isSeen.value ? undefined : `${of} ${generation.value}`
})

effect(() => {
  if (topic.value === undefined) {
    return
  }
  const [of = ''] = topic.value.split(' ')
  const controller = new AbortController()
  void follow(of, controller.signal)
  return () => {
    controller.abort()
  }
})

/** Asks again when images of a repository have changed, or of any */
export function useImageChanges(again: () => void, repository?: string): void {
  useWant({
    onImages: changed => {
      if (changed.length === 0 || repository === undefined || changed.includes(repository)) {
        again()
      }
    },
  })
}

/** What a page shows, as it is now */
export function useReport<Name extends Followed>(name: Name): Asked<Answers[Name]> & { again: () => void } {
  const answer = useAnswer(name, {}, isConnected.value ? 0 : fallback)
  const [report, setReport] = useState<Answers[Name]>()
  useWant({
    of: name,
    onReport: next => {
      setReport(next as Answers[Name])
    },
  })
  useEffect(() => {
    setReport(undefined)
  }, [answer.data])
  return report === undefined ? answer : { ...answer, data: report, error: undefined }
}

/** Keeps the last `want` for as long as a part of a page is shown */
function useWant(want: Want): void {
  const [kept] = useState<Want>(() => ({ ...want }))
  Object.assign(kept, want)
  useEffect(() => {
    wants.value = [...wants.value, kept]
    return () => {
      wants.value = wants.value.filter(other => other !== kept)
    }
  }, [kept])
}

async function follow(of: string, signal: AbortSignal): Promise<void> {
  let retry = firstRetry
  while (!signal.aborted) {
    const end = await read(of, signal)
    isConnected.value = false
    if (end === 'refused' || signal.aborted) {
      return
    }
    retry = end === 'over' ? firstRetry : Math.min(2 * retry, lastRetry)
    // not all at once after a restart of the server
    await pause(retry * (0.75 + Math.random() / 2), signal)
  }
}

/** @returns how it ended: it was heard, it failed, or it would fail again */
async function read(of: string, signal: AbortSignal): Promise<'over' | 'failed' | 'refused'> {
  let isReady = false
  try {
    const response = await fetchWithToken(`ui/api/live${of === '' ? '' : `?of=${of}`}`, { signal })
    if (!response.ok || response.body === null) {
      return response.status === 429 || response.status >= 500 ? 'failed' : 'refused'
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const messages = (text + part.value).split('\n\n')
      text = messages.pop() ?? ''
      for (const message of messages) {
        take(message)
        isReady = true
      }
    }
  } catch {
    // the server or the network is away, or nobody looks any more
  }
  return isReady ? 'over' : 'failed'
}

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
function take(message: string): void {
  const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(message) ?? []
  if (data === undefined) {
    return
  }
  const content = JSON.parse(data) as { repositories?: string[] }
  if (event === 'ready') {
    isConnected.value = true
  }
  for (const { onImages, onReport } of wants.value) {
    if (event === 'report') {
      onReport?.(content)
    } else {
      onImages?.(content.repositories ?? [])
    }
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
