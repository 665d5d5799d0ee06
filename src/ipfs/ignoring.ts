/**
 * Does some work whose failure may mean that there is no result
 *
 * @param names of the errors that mean it
 * @returns undefined where the work fails with one of them
 */
export async function ignoring<T>(names: readonly string[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (err) {
    if (!names.includes((err as Error).name)) {
      throw err
    }
    return undefined
  }
}
