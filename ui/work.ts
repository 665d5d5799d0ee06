import { fetchWithToken } from './credentials.ts'

/**
 * Has the server do something that takes long, and reads its lines of progress
 *
 * @returns the result
 * @throws Error with what the server says of it
 */
export async function doWork<Progress, Result>(
  name: 'gc' | 'fsck',
  request: Record<string, unknown>,
  onProgress: (progress: Progress) => void,
): Promise<Result> {
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetchWithToken(`ui/api/${name}`, { method: 'POST', headers, body: JSON.stringify(request) })
  if (!response.ok || response.body === null) {
    const { error } = (await response.json().catch(() => ({}))) as { error?: string }
    throw new Error(error ?? 'The registry does not answer.')
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (text + part.value).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      const { error, progress, result } = JSON.parse(line) as { error?: string; progress?: Progress; result?: Result }
      if (error !== undefined) {
        throw new Error(error)
      }
      if (result !== undefined) {
        return result
      }
      if (progress !== undefined) {
        onProgress(progress)
      }
    }
  }
  throw new Error('The registry stopped before it was done.')
}
