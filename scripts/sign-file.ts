/**
 * Signs a file of a release: sign-file.ts <key> <file> writes <file>.sig, which `cosign verify-blob` reads and, after
 * `base64 -d`, `openssl dgst -sha256 -verify`; sign-file.ts --check <key> only says whether a key can be used
 */
import { readFile, writeFile } from 'node:fs/promises'
import { readReleaseKey, signatureOf } from './release-key.ts'

const [first, second] = process.argv.slice(2)
if (first === undefined || second === undefined) {
  throw new Error('usage: sign-file.ts <key> <file>, or sign-file.ts --check <key>')
}
if (first === '--check') {
  await readReleaseKey(second)
} else {
  await writeFile(`${second}.sig`, `${signatureOf(await readFile(second), await readReleaseKey(first))}\n`)
}
