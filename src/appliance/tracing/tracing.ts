import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingHttpHeaders } from 'node:http'
import {
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from '@opentelemetry/sdk-trace'
import type { TracingConfig } from '../../config/tracing.ts'
import type { RequestTrace, RequestTracer } from '../../http/middleware/trace.ts'
import type { Logger } from '../../log.ts'
import { traceParts, type TracedParts } from './trace-parts.ts'

/** Spans of one request: a large image would have thousands */
const maxSpans = 200
/** Spans that wait to be sent, beyond which they are dropped */
const maxQueue = 2048
const minute = 60_000
/** Milliseconds that a stop waits for the last spans to be taken */
const stopTimeout = 2000
/** Longer headers are no trace of W3C's form */
const maxParentLength = 128
const maxStateLength = 512

interface Scope {
  context: Context
  /** Of the whole request */
  budget: { spans: number }
}

/**
 * Tells an OpenTelemetry collector what requests spend their time with. Spans wait in a bounded queue and are sent in
 * the background: a collector that is down costs spans and nothing else.
 */
export class Tracing implements RequestTracer {
  readonly #scopes = new AsyncLocalStorage<Scope>()
  readonly #propagator = new W3CTraceContextPropagator()
  readonly #provider: TracerProvider
  readonly #tracer: Tracer

  constructor({ log }: { log: Logger }, { problems, sampler }: TracingConfig) {
    problems.forEach(problem => {
      log.warn('tracing is not configured as OpenTelemetry says', { problem })
    })
    diag.setLogger(
      { error: onceAMinute(log), warn: ignore, info: ignore, debug: ignore, verbose: ignore },
      { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
    )
    this.#provider = new TracerProvider({
      sampler: samplerOf(sampler),
      resource: resourceFromAttributes({ 'service.name': 'ipdr' }).merge(detectResources({ detectors: [envDetector] })),
      spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), maxQueueSize: maxQueue })],
    })
    this.#tracer = this.#provider.getTracer('ipdr')
  }

  begin({ method, headers }: { method: string; headers: IncomingHttpHeaders }): RequestTrace {
    const parent = this.#propagator.extract(ROOT_CONTEXT, bounded(headers), {
      get: (carrier, name) => carrier[name],
      keys: carrier => Object.keys(carrier),
    })
    const attributes = { 'http.request.method': method }
    const span = this.#tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, parent)
    const scope = { context: trace.setSpan(parent, span), budget: { spans: maxSpans } }
    return {
      run: next => {
        this.#scopes.run(scope, next)
      },
      end: ({ id, route, status }) => {
        span.updateName(`${method} ${route}`)
        span.setAttributes({ 'http.route': route, 'ipdr.request.id': id })
        if (status !== undefined) {
          span.setAttribute('http.response.status_code', status)
        }
        if (status === undefined || status >= 500) {
          span.setStatus({ code: SpanStatusCode.ERROR })
        }
        span.end()
      },
    }
  }

  /** Follows requests through these parts, which belong to the server alone */
  traceParts(parts: TracedParts): void {
    traceParts(this, parts)
  }

  /**
   * Makes calls of these methods spans, where they belong to a request. A call lasts until its promise is settled or
   * what it iterates over has ended.
   *
   * @param room the first part of the spans' names
   */
  traceCalls<T extends object>(target: T, room: string, names: ReadonlyArray<keyof T & string>): void {
    for (const name of names) {
      const method = target[name] as (...args: unknown[]) => unknown
      const value = (...args: unknown[]): unknown =>
        this.#call(`${room}.${name}`, () => Reflect.apply(method, target, args))
      Object.defineProperty(target, name, { value, configurable: true, writable: true })
    }
  }

  /** Calls back with what a method returns, such as to trace calls of that */
  onResult<T extends object, N extends keyof T & string>(target: T, name: N, traced: (result: object) => void): void {
    const method = target[name] as (...args: unknown[]) => object
    const value = (...args: unknown[]): object => {
      const result = Reflect.apply(method, target, args)
      if (this.#scopes.getStore() !== undefined) {
        traced(result)
      }
      return result
    }
    Object.defineProperty(target, name, { value, configurable: true, writable: true })
  }

  /** Sends what waits, as far as it is taken at once */
  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, stopTimeout)
    try {
      await Promise.race([this.#provider.shutdown().catch(ignore), promise])
    } finally {
      clearTimeout(timer)
    }
  }

  #call(name: string, run: () => unknown): unknown {
    const outer = this.#scopes.getStore()
    if (outer === undefined || outer.budget.spans === 0) {
      return run()
    }
    outer.budget.spans--
    const span = this.#tracer.startSpan(name, {}, outer.context)
    const scope = { context: trace.setSpan(outer.context, span), budget: outer.budget }
    try {
      const result = this.#scopes.run(scope, run)
      if (result instanceof Promise) {
        return endAfter(span, result)
      }
      if (isIterable(result)) {
        return this.#iterate(span, scope, result)
      }
      span.end()
      return result
    } catch (err) {
      fail(span, err)
      throw err
    }
  }

  async *#iterate(span: Span, scope: Scope, source: AsyncIterable<unknown>): AsyncGenerator<unknown> {
    const iterator = source[Symbol.asyncIterator]()
    const next = async (): Promise<IteratorResult<unknown>> => await iterator.next()
    try {
      for (let step = await this.#scopes.run(scope, next); step.done !== true; ) {
        yield step.value
        step = await this.#scopes.run(scope, next)
      }
    } catch (err) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: (err as Error).name })
      throw err
    } finally {
      span.end()
      await iterator.return?.()
    }
  }
}

async function endAfter<T>(span: Span, result: Promise<T>): Promise<T> {
  try {
    const value = await result
    span.end()
    return value
  } catch (err) {
    fail(span, err)
    throw err
  }
}

/** By its name alone: messages may hold what clients and files have */
function fail(span: Span, err: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: (err as Error).name })
  span.end()
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** What a client says of its own trace, where it is of a sensible length */
function bounded({ traceparent, tracestate }: IncomingHttpHeaders): Record<string, string> {
  if (typeof traceparent !== 'string' || traceparent.length > maxParentLength) {
    return {}
  }
  const hasState = typeof tracestate === 'string' && tracestate.length <= maxStateLength
  return hasState ? { traceparent, tracestate } : { traceparent }
}

function samplerOf({ isParentBased, name, ratio }: TracingConfig['sampler']): Sampler {
  const root = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  }[name]()
  return isParentBased ? new ParentBasedSampler({ root }) : root
}

function onceAMinute(log: Logger): (message: string) => void {
  let last = -Infinity
  return message => {
    if (performance.now() - last > minute) {
      last = performance.now()
      log.warn('traces are not delivered', { reason: reasonOf(message) })
    }
  }
}

/** An exporter writes its errors as JSON, with their stack */
function reasonOf(text: string): string {
  return (/"message":"([^"]{1,500})"/.exec(text)?.[1] ?? text).slice(0, 500)
}

function ignore(): void {}
