/**
 * Does some work whose failure may only mean that there is no result
 *
 * @param isExpected whether an error means that
 * @returns undefined where the work fails with such an error
 */
export async function ignoring<T>(
  isExpected: (err: unknown) => boolean,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (err) {
    if (!isExpected(err)) {
      throw err
    }
    return undefined
  }
}
