/**
 * How every command prints what it found: as text, or with `--json` as one line of JSON, and its progress on standard
 * error
 */
import type { Digest } from '../../oci/digest.ts'
import type { CliContext } from '../process/context.ts'
import { jsonLine, line } from './printable.ts'

interface JsonFlag {
  json?: true
}

/** @param text whole lines */
export function printResult({ stdout }: CliContext, { json }: JsonFlag, result: unknown, text: string): void {
  stdout.write(json === true ? jsonLine(result) : text)
}

/** A callback that prints each state of a long command as a line on standard error; with `--json` it prints nothing */
export function progressPrinter<Progress>(
  { stderr }: CliContext,
  { json }: JsonFlag,
  describe: (progress: Progress) => string,
): (progress: Progress) => void {
  return progress => {
    if (json !== true) {
      stderr.write(line`${describe(progress)}`)
    }
  }
}

/** Warns of manifests that an index names and a copy could not include */
export function warnOfMissing({ stderr }: CliContext, missing: readonly { digest: Digest }[]): void {
  if (missing.length > 0) {
    const digests = missing.map(({ digest }) => digest).join(', ')
    stderr.write(line`The source does not have everything that its index names; left out: ${digests}`)
  }
}
