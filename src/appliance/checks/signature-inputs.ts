import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { reasonOf } from '../../config/entries.ts'
import type { Config } from '../../config/schema.ts'
import type { SignaturePolicy, SignatureRule } from '../../registry/signatures/signature-policy.ts'
import type { PublicKey } from '../../registry/signatures/public-key.ts'
import { StartError } from '../directory/start-error.ts'

export interface SignatureInputs {
  SignaturePolicy: typeof SignaturePolicy
  rules: SignatureRule[]
}

const maxKeyBytes = 16 * 1024

/**
 * Reads what the configuration says about signed images
 *
 * @returns undefined where it says nothing: then nothing is loaded that verifies signatures
 * @throws StartError if a file can't be read, or holds no public key that can be used
 */
export async function readSignatureRules({ onlySigned }: Config): Promise<SignatureInputs | undefined> {
  if (onlySigned.length === 0) {
    return undefined
  }
  const [{ SignaturePolicy }, { parsePublicKey }] = await Promise.all([
    import('../../registry/signatures/signature-policy.ts'),
    import('../../registry/signatures/public-key.ts'),
  ])
  const rules: SignatureRule[] = []
  for (const [position, { keys: paths, ...rule }] of onlySigned.entries()) {
    const keys: PublicKey[] = []
    for (const [index, path] of paths.entries()) {
      const field = `onlySigned[${position}].keys[${index}]`
      const text = await readKey(field, path)
      try {
        keys.push(parsePublicKey(nameOf(path), text))
      } catch (err) {
        throw new StartError(`${field}: ${path} ${(err as Error).message}`, { cause: err })
      }
    }
    rules.push({ ...rule, keys })
  }
  return { SignaturePolicy, rules }
}

async function readKey(field: string, path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).slice(0, maxKeyBytes)
  } catch (err) {
    throw new StartError(`${field}: ${path} can't be read: ${reasonOf(err)}`, { cause: err })
  }
}

/** `release` for `/etc/ipdr/release.pub`: the name of the key on pages and in messages */
function nameOf(path: string): string {
  return basename(path).replace(/\.(pub|pem|key)$/, '')
}
