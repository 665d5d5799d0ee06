/**
 * How every command prints what it found: as text, or with `--json` as one line of JSON, and its progress on standard
 * error
 */
import type { Digest } from '../../oci/digest.ts'
import type { CliContext } from '../process/context.ts'
import { jsonLine, line } from './printable.ts'
import { showProgress, type ProgressState } from './progress.ts'

interface JsonFlag {
  json?: true
}

/** @param text whole lines */
export function printResult({ stdout }: CliContext, { json }: JsonFlag, result: unknown, text: string): void {
  stdout.write(json === true ? jsonLine(result) : text)
}

/** Runs a long command, and shows how far it is until it ends; with `--json` it shows nothing */
export async function withProgress<Progress, Result>(
  context: CliContext,
  { json }: JsonFlag,
  describe: (progress: Progress) => ProgressState,
  work: (onProgress: (progress: Progress) => void) => Promise<Result>,
  { quietFor }: { quietFor?: number } = {},
): Promise<Result> {
  using shown = showProgress(context, { silent: json === true, ...(quietFor === undefined ? {} : { quietFor }) })
  return await work(progress => {
    shown.show(describe(progress))
  })
}

/**
 * Prints the result of a copy of an image
 *
 * @param copied.missing manifests that an index names and the copy could not include: text warns of them unless it is
 *   to be silent
 */
export function printCopied(
  context: CliContext,
  flags: JsonFlag & { silent: boolean },
  { missing, result, text }: { result: object; missing: readonly { digest: Digest }[]; text: string },
): void {
  const digests = missing.map(({ digest }) => digest)
  if (digests.length > 0 && flags.json !== true && !flags.silent) {
    const what = 'The source does not have everything that its index names; left out'
    context.stderr.write(line`${what}: ${digests.join(', ')}`)
  }
  printResult(context, flags, { ...result, missing: digests }, text)
}
