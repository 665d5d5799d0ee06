import { runKeptModel } from '../fixtures/kept/kept-model.ts'
import type { Soak } from './soak.ts'

/**
 * Pushes random manifests and looks for what they named after garbage collection, from a backup and after the index was
 * lost
 */
export const kept: Soak = async ({ seed, manifests = 20_000, print }) => await runKeptModel({ seed, manifests, print })
