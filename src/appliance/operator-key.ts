import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newOperatorKey, publicKeyOf, signCertificate } from '../access/files/peer-certificate.ts'
import { reasonOf } from '../config/entries.ts'
import { openDataDirectory } from './directory/data-directory.ts'
import { writeOwnerFile } from './directory/owner-file.ts'
import { StartError } from './directory/start-error.ts'
import { requireLifetime } from './directory/lifetime.ts'

/** As libp2p writes the id of an Ed25519, RSA or secp256k1 key */
const peerId = /^(12D3KooW[1-9A-HJ-NP-Za-km-z]{44}|Qm[1-9A-HJ-NP-Za-km-z]{44}|16Uiu2HA[1-9A-HJ-NP-Za-km-z]{46})$/
const groupName = /^[^\s:,\p{Cc}]{1,255}$/u

/** Where the key of an operator is */
export interface OperatorKeyPlace {
  /** @default `operator-key.json` in the data directory */
  file?: string | undefined
  dataDir: string
}

/**
 * Makes the key of an operator, in a file that only its owner can read
 *
 * @returns the file, and the public key
 * @throws StartError where there is such a file already
 */
export async function createOperatorKey(place: OperatorKeyPlace): Promise<{ file: string; publicKey: string }> {
  const file = place.file ?? join((await openDataDirectory(place.dataDir)).path, 'operator-key.json')
  const text = await newOperatorKey()
  try {
    await writeOwnerFile(file, 'wx', text)
  } catch (err) {
    throw new StartError(
      (err as NodeJS.ErrnoException).code === 'EEXIST'
        ? `${file} is there already, and is left as it is`
        : `${file} can't be written: ${reasonOf(err)}`,
      { cause: err },
    )
  }
  return { file, publicKey: publicKeyOf(text) }
}

export interface CertificateRequest extends OperatorKeyPlace {
  peer: string
  groups: readonly string[]
  /** Seconds */
  lifetime: number
}

/**
 * Signs a certificate for a peer
 *
 * @throws StartError where there is no key, or the request makes no sense
 */
export async function signPeer({ groups, lifetime, peer, ...place }: CertificateRequest): Promise<string> {
  if (!peerId.test(peer)) {
    throw new StartError(`${peer} is no peer id, such as 12D3KooW...`)
  }
  const wrong = groups.find(group => !groupName.test(group))
  if (wrong !== undefined) {
    throw new StartError(`"${wrong}" can't be the name of a group: it must have neither blanks nor colons`)
  }
  requireLifetime('a certificate', lifetime)
  const file = place.file ?? join(place.dataDir, 'operator-key.json')
  try {
    return await signCertificate(await readFile(file, 'utf8'), { peer, groups, lifetime })
  } catch (err) {
    throw new StartError(`${file} can't be used: ${reasonOf(err)}`, { cause: err })
  }
}
