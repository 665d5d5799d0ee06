import type { RequestHandler, Router } from 'express'
import type { Logger } from '../../log.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { SignatureCounts, SignatureDecision } from '../../registry/signatures/signature-report.ts'
import type { RetentionDecision, RetentionProgress, RetentionResult } from '../../upkeep/retention/retention.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { clientSignal } from '../request-options.ts'
import { sendProgress } from '../responses/progress-lines.ts'
import { invalid, requireJson, type JsonReader } from './admin-json.ts'

const second = 1000

/**
 * What an operator has the appliance do. Each takes long and answers with lines of JSON: {"progress":{...}} about once
 * a second, then {"result":{...}} or {"error":"..."}.
 *
 * ```
 * POST /ipdr/v1/gc {"dryRun":false,"grace":300}        garbage collection; grace in seconds, if less than configured
 * POST /ipdr/v1/retention {"dryRun":true}              deletes what the rules let go; what stays and goes is in lines
 *                                                      {"items":[...]}
 * POST /ipdr/v1/signatures {}                          what onlySigned refuses and lets through, in lines
 *                                                      {"items":[...]}; ends when the client disconnects
 * POST /ipdr/v1/fsck {"repair":true,"rate":52428800}   rate in bytes a second, 0 means unlimited, default as configured
 * POST /ipdr/v1/rebuild {"waive":false}                rebuilds a lost index; waive declares it complete as it is
 * POST /ipdr/v1/prefetch {"names":["docker.io/library/alpine:3"],"platforms":["all"]}
 *                                                      fetches images of upstreams; ends when the client disconnects
 * ```
 */
export function addUpkeepRoutes(
  router: Router,
  { administration, log }: { administration: Administration; log: Logger },
  guard: RequestHandler[],
  jsonOf: JsonReader,
): void {
  const components = { administration, log, jsonOf }
  router.route('/ipdr/v1/gc').all(guard).post(requireJson, collect(components)).all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/retention')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { dryRun = false } = await jsonOf(req)
      requireBoolean('dryRun', dryRun)
      await sendProgress<RetentionProgress, RetentionResult, RetentionDecision>(
        res,
        log,
        async (onProgress, onDecisions) => await administration.retain({ dryRun, onProgress, onDecisions }),
      )
    })
    .all(onlyMethods('POST'))

  addSignaturesRoute(router, { administration, log }, guard, jsonOf)

  router.route('/ipdr/v1/fsck').all(guard).post(requireJson, fsck(components)).all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/rebuild')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { waive = false } = await jsonOf(req)
      requireBoolean('waive', waive)
      await (waive ? administration.waiveRebuild() : undefined)
      await sendProgress(res, log, async onProgress => await administration.rebuild({ onProgress }))
    })
    .all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/prefetch')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const signal = clientSignal(res)
      const { names, platforms } = await jsonOf(req)
      requireTexts('names', names)
      if (platforms !== undefined) {
        requireTexts('platforms', platforms)
      }
      const init = { platforms, signal }
      await sendProgress(res, log, async onProgress => await administration.prefetch(names, { ...init, onProgress }))
    })
    .all(onlyMethods('POST'))
}

function addSignaturesRoute(
  router: Router,
  { administration, log }: { administration: Administration; log: Logger },
  guard: RequestHandler[],
  jsonOf: JsonReader,
): void {
  router
    .route('/ipdr/v1/signatures')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const signal = clientSignal(res)
      await jsonOf(req)
      await sendProgress<SignatureCounts, SignatureCounts, SignatureDecision>(
        res,
        log,
        async (onProgress, onDecisions) => await administration.signatures({ signal, onProgress, onDecisions }),
      )
    })
    .all(onlyMethods('POST'))
}

export interface UpkeepComponents {
  administration: Pick<Administration, 'collect' | 'fsck'>
  log: Logger
  jsonOf: JsonReader
}

/** Collects garbage as a request wants it */
export function collect({ administration, jsonOf, log }: UpkeepComponents): RequestHandler {
  return async (req, res) => {
    const { dryRun = false, grace } = await jsonOf(req)
    requireBoolean('dryRun', dryRun)
    requireNumber('grace', 'seconds', grace)
    const init = { dryRun, grace: grace === undefined ? undefined : grace * second }
    await sendProgress(res, log, async onProgress => await administration.collect({ ...init, onProgress }))
  }
}

/** Runs fsck as a request wants it */
export function fsck({ administration, jsonOf, log }: UpkeepComponents): RequestHandler {
  return async (req, res) => {
    const { repair = true, rate } = await jsonOf(req)
    requireNumber('rate', 'bytes a second', rate)
    requireBoolean('repair', repair)
    await sendProgress(res, log, async onProgress => await administration.fsck({ repair, rate, onProgress }))
  }
}

function requireTexts(name: string, value: unknown): asserts value is string[] {
  if (!Array.isArray(value) || value.length === 0 || value.some(item => typeof item !== 'string')) {
    throw invalid(`${name} must be a list of texts`)
  }
}

function requireBoolean(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') {
    throw invalid(`${name} must be true or false`)
  }
}

/** A field that may be left out */
function requireNumber(name: string, unit: string, value: unknown): asserts value is number | undefined {
  if (value !== undefined && (typeof value !== 'number' || value < 0)) {
    throw invalid(`${name} must be a number of ${unit}`)
  }
}
