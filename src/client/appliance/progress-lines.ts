import { ClientError } from '../../remote/errors.ts'
import { linesOf, type Answer } from '../../remote/http/answer.ts'

export interface LineListeners<Progress, Item> {
  /** Who answers, as messages show it */
  host: string
  onProgress: (progress: Progress) => void
  onItems?: ((items: readonly Item[]) => void) | undefined
}

/**
 * Reads the lines of JSON that an appliance sends while its work takes long, and passes on how far it is
 *
 * @param what the subject of the error message
 * @returns the result in the last line
 * @throws ClientError for an error in the last line, or where there is no such line
 */
export async function lastOf<Progress, Result, Item>(
  answer: Answer,
  what: string,
  { host, onProgress, onItems }: LineListeners<Progress, Item>,
): Promise<Result> {
  for await (const line of linesOf(answer)) {
    const { error, items, progress, result } = line as {
      error?: string
      items?: Item[]
      progress?: Progress
      result?: Result
    }
    if (error !== undefined) {
      throw new ClientError(`${what}: ${error}`)
    }
    if (progress !== undefined) {
      onProgress(progress)
    }
    if (items !== undefined) {
      onItems?.(items)
    }
    if (result !== undefined) {
      return result
    }
  }
  throw new ClientError(`${host} stopped answering before the ${what} ended`)
}
