import { runTenants } from '../fixtures/tenants/tenants-model.ts'
import type { Soak } from './soak.ts'

/** One who means no good beside others, whose images have to stay as they are */
export const tenants: Soak = async ({ seed, actions = 20_000, print }) =>
  await runTenants({ seed, actions, perBatch: 500, print })

/** The same with a log-in for each, and rules by which the stranger may read nothing of the others */
export const thief: Soak = async ({ seed, actions = 20_000, print }) =>
  await runTenants({ seed, actions, perBatch: 500, rules: true, print })
