import type { Logger } from '../../log.ts'
import type { Libp2pOptions } from 'libp2p'

type ComponentLogger = NonNullable<Libp2pOptions['logger']>
type ComponentLog = ReturnType<ComponentLogger['forComponent']>

/**
 * Takes the log lines of Helia and libp2p: errors go to our log at debug level, everything else is dropped
 *
 * Most of these errors are normal for a peer-to-peer node, such as a peer that can't be dialled.
 */
export function componentLogger(log: Logger): ComponentLogger {
  return {
    forComponent: name => componentLog(log, name),
  }
}

function componentLog(log: Logger, component: string): ComponentLog {
  const methods = {
    enabled: false,
    error: (template: unknown, ...values: unknown[]) => {
      log.debug('IPFS node reports an error', { component, error: format(template, values) })
    },
    trace: () => {},
    newScope: (name: string) => componentLog(log, `${component}:${name}`),
  }

  return Object.assign(() => {}, methods)
}

/** Fills in a template of libp2p: a percent sign and a letter stand for the next value, whatever its type */
function format(template: unknown, values: readonly unknown[]): string {
  if (typeof template !== 'string') {
    return [template, ...values].map(text).join(' ')
  }

  let next = 0
  const line = template.replace(/%([a-zA-Z%])/g, (all, letter: string) => {
    if (letter === '%') {
      return '%'
    }

    return next < values.length ? text(values[next++]) : all
  })

  return [line, ...values.slice(next).map(text)].join(' ')
}

function text(value: unknown): string {
  return value instanceof Error ? `${value.name}: ${value.message}` : String(value)
}
