import { ClientError, InvalidAnswerError, ResponseError } from '../errors.ts'
import { textTimeout } from '../timeouts.ts'

const MiB = 1024 * 1024
/** Longest answer of text or JSON, and longest line of one that has lines */
export const maxTextBytes = 16 * MiB
/** How much of an error answer is read, and how much of its message is shown */
const maxErrorBytes = MiB / 16
const maxMessageLength = 1000
/** Characters shown of an error answer that is not JSON */
const maxPlainLength = 200

/** What a server answered. Its body is read once, by `body` or `text`, or is given up by `discard`. */
export interface Answer {
  status: number
  headers: Headers
  /** Where the answer came from, after redirects */
  url: string
  body: () => AsyncIterable<Uint8Array>
  /**
   * @param maxBytes @default 16 MiB
   * @throws ClientError if there is more, or it takes too long
   */
  text: (maxBytes?: number) => Promise<string>
  /** Closes the connection; without it, that of a body which nobody reads stays open until the server falls silent */
  discard: () => Promise<void>
}

/** Reads a body of text; throws ClientError if it is longer than `maxBytes`, or not complete within `textTimeout` */
export async function readText(body: AsyncIterable<Uint8Array>, host: string, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  const end = performance.now() + textTimeout
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > maxBytes) {
      throw new InvalidAnswerError(`${host} sent more than ${maxBytes} bytes of text`)
    }
    if (performance.now() > end) {
      throw new ClientError(`${host} took more than ${textTimeout / 1000} s to send a text`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/**
 * @param maxBytes @default 16 MiB
 * @throws ClientError if the answer is longer, or is not JSON
 */
export async function jsonOf(answer: Answer, maxBytes?: number): Promise<unknown> {
  const text = await answer.text(maxBytes)
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new InvalidAnswerError(`${hostOf(answer)} did not answer with JSON`, { cause: err })
  }
}

/** Yields the lines of an answer as they come, each parsed; throws ClientError for a line that is not JSON */
export async function* linesOf(answer: Answer): AsyncGenerator<unknown> {
  const decoder = new TextDecoder()
  let text = ''
  // only a line that ends counts: the rest was cut off
  for await (const chunk of answer.body()) {
    const lines = decoder.decode(chunk, { stream: true }).split('\n')
    lines[0] = text + lines[0]!
    text = lines.pop()!
    if (text.length > maxTextBytes) {
      throw new ClientError(`${hostOf(answer)} sent a line of more than ${maxTextBytes} characters`)
    }
    for (const line of lines) {
      try {
        yield JSON.parse(line)
      } catch (err) {
        throw new ClientError(`${hostOf(answer)} did not answer with lines of JSON`, { cause: err })
      }
    }
  }
}

/**
 * Accepts an answer by its status: one of `expected`, or any success if none is named
 *
 * @param what the subject of the error message, such as `blob sha256:... of a/b`
 * @throws ResponseError with what the server says
 */
export async function requireStatus(answer: Answer, what: string, ...expected: number[]): Promise<void> {
  const { status } = answer
  if (expected.length === 0 ? status < 200 || status > 299 : !expected.includes(status)) {
    throw await responseError(answer, what)
  }
}

/**
 * The error that a server answers with, read from the JSON of the distribution API or of an appliance's administration
 */
export async function responseError(answer: Answer, what: string): Promise<ResponseError> {
  const text = await answer.text(maxErrorBytes).catch(() => '')
  let code: string | undefined
  let message = ''
  try {
    // the distribution API sends a list, `errors`; the administration sends one text, `error`
    const { error: single, errors: [error] = [{ message: single }] } = JSON.parse(text) as {
      error?: unknown
      errors?: [{ code?: unknown; message?: unknown; detail?: { reason?: unknown } }]
    }
    code = typeof error.code === 'string' ? error.code.slice(0, maxMessageLength) : undefined
    message = [error.message, error.detail?.reason]
      .filter(part => typeof part === 'string' && part !== '')
      .join(': ')
      .slice(0, maxMessageLength)
  } catch {
    message = text.slice(0, maxPlainLength).trim()
  }
  const parts = [`${what}: ${hostOf(answer)} answered ${answer.status}`, code, message]
  const retryAfter = answer.headers.get('Retry-After') ?? undefined
  return new ResponseError(parts.filter(Boolean).join(' '), { status: answer.status, code, retryAfter })
}

/** `host:port` that an answer came from */
export function hostOf(answer: Pick<Answer, 'url'>): string {
  return new URL(answer.url).host
}
