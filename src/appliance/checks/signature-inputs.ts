import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { reasonOf } from '../../config/entries.ts'
import type { Config } from '../../config/schema.ts'
import type { SignaturePolicy, SignatureRule } from '../../registry/signatures/signature-policy.ts'
import { StartError } from '../directory/start-error.ts'

export interface SignatureInputs {
  SignaturePolicy: typeof SignaturePolicy
  rules: SignatureRule[]
}

const [maxKeyBytes, maxAuthorityBytes] = [16 * 1024, 256 * 1024]

/**
 * Reads what the configuration says about signed images
 *
 * @returns undefined where it says nothing: then nothing is loaded that verifies signatures
 * @throws StartError if a file can't be read, or holds no public key or certificate that can be used
 */
export async function readSignatureRules({ onlySigned }: Config): Promise<SignatureInputs | undefined> {
  if (onlySigned.length === 0) {
    return undefined
  }
  const [{ SignaturePolicy }, { parsePublicKey }] = await Promise.all([
    import('../../registry/signatures/signature-policy.ts'),
    import('../../registry/signatures/formats/public-key.ts'),
  ])
  const rules: SignatureRule[] = []
  for (const [position, { authorities, identities, keys: paths = [], ...rule }] of onlySigned.entries()) {
    const field = `onlySigned[${position}]`
    const keys = await readEach(`${field}.keys`, paths, maxKeyBytes, parsePublicKey)
    rules.push(
      authorities === undefined
        ? { ...rule, keys }
        : { ...rule, keys, trust: await readTrust(`${field}.authorities`, authorities, identities) },
    )
  }
  return { SignaturePolicy, rules }
}

async function readTrust(
  field: string,
  paths: readonly string[],
  identities: readonly string[] = [],
): Promise<NonNullable<SignatureRule['trust']>> {
  const { parseAuthority, parseIdentity } = await import('../../registry/signatures/formats/authority.ts')
  return {
    authorities: await readEach(field, paths, maxAuthorityBytes, parseAuthority),
    identities: identities.map(parseIdentity),
  }
}

async function readEach<T>(
  field: string,
  paths: readonly string[],
  maxLength: number,
  parse: (name: string, text: string) => T,
): Promise<T[]> {
  const found: T[] = []
  for (const [index, path] of paths.entries()) {
    const text = await readText(`${field}[${index}]`, path)
    try {
      found.push(parse(nameOf(path), text.slice(0, maxLength)))
    } catch (err) {
      throw new StartError(`${field}[${index}]: ${path} ${(err as Error).message}`, { cause: err })
    }
  }
  return found
}

async function readText(field: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (err) {
    throw new StartError(`${field}: ${path} can't be read: ${reasonOf(err)}`, { cause: err })
  }
}

/** `release` for `/etc/ipdr/release.pub`: the name of the key on pages and in messages */
function nameOf(path: string): string {
  return basename(path).replace(/\.(pub|pem|key|crt|cer)$/, '')
}
