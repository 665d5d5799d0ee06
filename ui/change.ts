import { ApiError } from './api.ts'
import { fetchWithToken } from './credentials.ts'

/** Milliseconds */
const timeout = 30_000

/**
 * Has the server change something
 *
 * @returns what it answers
 * @throws ApiError
 */
export async function change<T = unknown>(method: 'POST' | 'DELETE', path: string, body?: object): Promise<T> {
  let response: Response
  try {
    response = await fetchWithToken(`ui/api/${path}`, {
      method,
      signal: AbortSignal.timeout(timeout),
      ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    })
  } catch {
    throw new ApiError(0, 'the registry does not answer')
  }
  const answer = (await response.json().catch(() => ({}))) as { error?: string }
  if (!response.ok) {
    throw new ApiError(response.status, answer.error ?? '')
  }
  return answer as T
}
