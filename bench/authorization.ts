import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The headers of who administers a server of ours or reads its metrics; none for others, and for versions that wanted
 * none
 */
export async function authorization(dataDir: string): Promise<Record<string, string>> {
  const token = await readFile(join(dataDir, 'admin.token'), 'utf8').catch(() => undefined)
  return token === undefined ? {} : { Authorization: `Bearer ${token.trim()}` }
}
