import type { Writable } from 'node:stream'
import { LineBatches } from './log/line-batches.ts'
import { humanLine, jsonLine, type Line } from './log/lines.ts'
import { plainFields } from './log/plain-values.ts'

/**
 * Messages are constant texts, variables go into fields. Levels: error = an operator must act, warn = degraded but
 * working, info = once per start, stop or push, debug = everything else.
 */
export interface Logger {
  error(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  debug(message: string, fields?: Fields): void
  /** A logger that adds these fields to every line */
  child(fields: Fields): Logger
}

type Fields = Record<string, unknown>
type Level = 'error' | 'warn' | 'info' | 'debug'

export interface LogInit {
  /** The least severe level that is written */
  level: Level
  /** json: one object per line with time, level, message and the fields; human: the same for a terminal */
  format: 'human' | 'json'
  /** @default standard error, a turn of the event loop at a time (see log/line-batches.ts) */
  stream?: Pick<Writable, 'write'> & { isTTY?: boolean; hasColors?: () => boolean }
}

const ranks: Record<Level, number> = { error: 0, warn: 1, info: 2, debug: 3 }

export function createLog({ level, format, stream }: LogInit): Logger {
  const { isTTY, hasColors } = stream ?? process.stderr
  const coloured = isTTY === true && hasColors?.call(stream ?? process.stderr) === true
  const render = format === 'json' ? jsonLine : (line: Line) => humanLine(line, coloured)
  const batches = stream === undefined ? new LineBatches(process.stderr) : undefined
  const write = (lineLevel: Level, message: string, fields: Fields): void => {
    const withStack = level === 'debug' || lineLevel === 'error'
    const text = `${render({ level: lineLevel, message: String(message), fields: plainFields(fields, withStack) })}\n`
    batches === undefined ? stream?.write(text) : batches.write(text, { urgent: ranks[lineLevel] < ranks.info })
  }
  return loggerOf({ rank: ranks[level], write }, {})
}

interface Sink {
  /** Of the least severe level that is written */
  rank: number
  write: (level: Level, message: string, fields: Fields) => void
}

function loggerOf(sink: Sink, bound: Fields): Logger {
  const writer =
    (level: Level) =>
    (message: string, fields?: Fields): void => {
      if (ranks[level] <= sink.rank) {
        sink.write(level, message, { ...bound, ...fields })
      }
    }
  return {
    error: writer('error'),
    warn: writer('warn'),
    info: writer('info'),
    debug: writer('debug'),
    child: fields => loggerOf(sink, { ...bound, ...fields }),
  }
}
