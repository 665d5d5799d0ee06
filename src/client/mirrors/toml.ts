import { parse } from 'smol-toml'
import { ClientError } from '../../remote/errors.ts'

/**
 * @param path for the message
 * @throws ClientError with the line where the text is no TOML
 */
export function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (err) {
    const { line } = err as { line?: number }
    throw new ClientError(`${path}${line === undefined ? '' : `, line ${line}`} is not TOML, and is left as it is`, {
      cause: err,
    })
  }
}
