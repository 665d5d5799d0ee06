import { useEffect, useState } from 'preact/hooks'
import type {
  AccessRule,
  AccessSummary,
  AuditEntry,
  Explanation,
  FailedLogIn,
  Change,
  Comparison,
  Differences,
  FileComparison,
  FolderLine,
  ImageDetails,
  LayerListing,
  Listed,
  Move,
  NetworkReport,
  PartOf,
  Place,
  RepositoryLine,
  ReviewedKey,
  ReviewedUpstream,
  ReviewedUser,
  Rights,
  Session,
  StorageReport,
  TagLine,
} from './answers.ts'
import { fetchWithToken, generation } from './credentials.ts'

/** The server did not answer, or refused */
export class ApiError extends Error {
  /** Of HTTP; 0 where there was no answer */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What the server answers to each question */
export interface Answers {
  session: Session
  repositories: PartOf<RepositoryLine | FolderLine>
  find: { places: Place[] }
  tags: PartOf<TagLine> & { may: Rights }
  image: ImageDetails
  compare: Comparison
  'compare/files': Listed<FileComparison>
  files: Listed<LayerListing>
  network: NetworkReport
  access: AccessSummary
  'access/users': PartOf<ReviewedUser>
  'access/keys': PartOf<ReviewedKey>
  'access/rules': PartOf<AccessRule>
  'access/failures': PartOf<FailedLogIn>
  'access/check': Explanation
  'access/audit': { entries: AuditEntry[]; next?: string }
  upstreams: { upstreams: ReviewedUpstream[] }
  storage: StorageReport
  move: Move
  history: { changes: Change[]; more: boolean }
  differences: Differences
}

export interface Asked<T> {
  /** The last answer, also while the next one is on its way */
  data: T | undefined
  error: ApiError | undefined
  isLoading: boolean
}

/** Milliseconds; the server answers within a second, or says that it can't */
const timeout = 30_000

export async function ask<Name extends keyof Answers>(
  name: Name,
  query: Record<string, string | number> = {},
  signal?: AbortSignal,
): Promise<Answers[Name]> {
  const params = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]))
  const response = await request(`ui/api/${name}?${params}`, {}, signal)
  try {
    return (await response.json()) as Answers[Name]
  } catch {
    // it was cut off
    throw new ApiError(0, '')
  }
}

/**
 * One request to this server
 *
 * @throws ApiError where it does not answer, or refuses
 */
export async function request(path: string, init: RequestInit = {}, signal?: AbortSignal): Promise<Response> {
  const signals = [AbortSignal.timeout(timeout), ...(signal === undefined ? [] : [signal])]
  let response: Response
  try {
    const send = path.startsWith('ui/api/') ? fetchWithToken : fetch
    response = await send(path, { ...init, signal: AbortSignal.any(signals) })
  } catch {
    throw new ApiError(0, '')
  }
  if (!response.ok) {
    const body = (await response.json().catch(() => ({}))) as { error?: string; errors?: { message?: string }[] }
    throw new ApiError(response.status, body.error ?? body.errors?.[0]?.message ?? '')
  }
  return response
}

/**
 * Asks for what a part of a page shows, and again where the question changes
 *
 * @param query undefined: nothing is asked
 * @param every milliseconds after which it is asked again while somebody looks; 0: never
 */
export function useAnswer<Name extends keyof Answers>(
  name: Name,
  query: Record<string, string | number> | undefined,
  every = 0,
): Asked<Answers[Name]> & { again: () => void } {
  const [asked, setAsked] = useState<Asked<Answers[Name]>>({ data: undefined, error: undefined, isLoading: true })
  const [turn, setTurn] = useState(0)
  const key = JSON.stringify(query)
  useEffect(() => {
    if (query === undefined) {
      setAsked({ data: undefined, error: undefined, isLoading: false })
      return
    }
    const controller = new AbortController()
    setAsked(before => ({ ...before, isLoading: true }))
    ask(name, query, controller.signal).then(
      data => {
        setAsked({ data, error: undefined, isLoading: false })
      },
      (error: ApiError) => {
        if (!controller.signal.aborted) {
          setAsked({ data: undefined, error, isLoading: false })
        }
      },
    )
    return () => {
      controller.abort()
    }
  }, [name, key, turn, generation.value])
  useEffect(() => {
    if (every === 0) {
      return
    }
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') {
        setTurn(before => before + 1)
      }
    }, every)
    return () => {
      clearInterval(timer)
    }
  }, [every])
  return {
    ...asked,
    again: () => {
      setTurn(before => before + 1)
    },
  }
}
