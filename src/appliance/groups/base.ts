import type { Config } from '../../config/schema.ts'
import type { Events } from '../../events/events.ts'
import type { LevelIndex } from '../../index/level-index.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import type { DataDirectory } from '../directory/data-directory.ts'
import type { StartInputs } from '../checks/start-inputs.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { StoreEvents } from './store-events.ts'

export const second = 1000

/** Whether the IPFS node takes part in a DHT */
export function hasDht({ network }: Pick<Config, 'network'>): boolean {
  return network === 'private' || network === 'public'
}

/** What every group of parts may be built from */
export interface Base {
  config: Config
  inputs: StartInputs
  directory: DataDirectory
  index: LevelIndex
  condition: IndexCondition
  storeEvents: StoreEvents
  events: Events
  metrics: Metrics
  log: Logger
  /** Undefined where nobody collects traces */
  tracing: Tracing | undefined
  /** Permissions that files for other programs lack; undefined: as many as all files of this process lack */
  umask: number | undefined
  /** Whether the appliance has started and does not stop */
  isReady: () => boolean
}
