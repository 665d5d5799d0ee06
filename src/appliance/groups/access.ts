import { dirname, join } from 'node:path'
import { AccessFiles, type AccessFilesInit } from '../../access/files/access-files.ts'
import { AuditLog } from '../../access/audit/audit-log.ts'
import { Access } from '../../access/access.ts'
import type { AccessReview } from '../../access/access-review.ts'
import { Authenticator } from '../../access/log-in/authenticator.ts'
import { FailedLogIns } from '../../access/log-in/failed-log-ins.ts'
import { KeyUses } from '../../access/log-in/key-uses.ts'
import { RecentFailures } from '../../access/audit/recent-failures.ts'
import { ForeignTokens } from '../../access/log-in/foreign-tokens.ts'
import { LogInProviders } from '../../access/log-in/log-in-providers.ts'
import { LogIns } from '../../access/log-in/log-ins.ts'
import { PasswordCheck } from '../../access/files/htpasswd.ts'
import { PeerTrust } from '../../access/files/peer-trust.ts'
import type { Puller } from '../../access/rules/puller.ts'
import { PasswordThread } from '../../access/log-in/password-thread.ts'
import { TokenKeys } from '../../access/tokens/token-keys.ts'
import { Tokens } from '../../access/tokens/tokens.ts'
import type { Config } from '../../config/schema.ts'
import type { Logger } from '../../log.ts'
import type { PeerAccess } from '../../ipfs/node/node.ts'
import { BlockAccess } from '../../registry/sharing/block-access.ts'
import { OwnCertificate } from '../directory/own-certificate.ts'
import { readIfThere, replaceOwnerFile } from '../directory/owner-file.ts'
import type { Base } from './base.ts'
import { part, type Part } from './part.ts'

/** Who may do what */
export interface AccessParts {
  access: Access
  accessFiles: AccessFiles
  /** Undefined where none is configured */
  auditLog: AuditLog | undefined
  /** What administrators see and change of this; loaded with the first call */
  accessReview: () => Promise<AccessReview>
  blockAccess: BlockAccess
  /** What every peer of this network may pull, so that it may be provided and published */
  audience: () => Puller
  /** What a connected peer may pull */
  pullerOf: (peer: string) => Puller | Promise<Puller>
  peerAccess: PeerAccess
  /** Whether a rule, or a certificate of the operator, is for this very peer */
  knowsPeer: (peer: string) => boolean
  parts: Part[]
}

/** Where rules, passwords and keys are, unless the configuration says otherwise */
export function accessPaths(dataDir: string): Record<'rules' | 'passwords' | 'keys' | 'apiKeys', string> {
  return {
    rules: join(dataDir, 'access.yml'),
    passwords: join(dataDir, 'htpasswd'),
    keys: join(dataDir, 'token-keys.json'),
    apiKeys: join(dataDir, 'api-keys.json'),
  }
}

export function accessFilesInit(dataDir: string, { file, htpasswd }: Config['access']): AccessFilesInit {
  const paths = accessPaths(dataDir)
  return {
    accessFile: file ?? paths.rules,
    passwordFile: htpasswd ?? paths.passwords,
    keyFile: paths.apiKeys,
    required: file !== undefined,
  }
}

export function buildAccess({ condition, config, directory, index, inputs, ...base }: Base): AccessParts {
  const log = base.log.child({ module: 'access' })
  const init = accessFilesInit(directory.path, config.access)
  const auditLog = buildAuditLog(config.access, log)
  const accessFiles = new AccessFiles({ log, audit: auditLog }, init)
  const foreign = new ForeignTokens({ log }, { directory: dirname(init.accessFile) })
  const comparison = new PasswordThread()
  const keyFile = accessPaths(directory.path).keys
  const keys = new TokenKeys({
    store: {
      name: keyFile,
      read: async () => await readIfThere(keyFile),
      write: async text => {
        await replaceOwnerFile(keyFile, text)
      },
    },
    log,
  })
  const tokens = new Tokens({ keys })
  const failures = new FailedLogIns()
  const [recentFailures, keyUses] = [new RecentFailures(), new KeyUses()]
  const passwords = new PasswordCheck({ comparison })
  const authenticator = new Authenticator({ passwords, tokens, foreign, failures, keyUses })
  const providers = new LogInProviders({ log }, { directory: dirname(init.accessFile) })
  const logIns = new LogIns({ files: accessFiles, foreign, providers, failures, recentFailures, tokens })
  const access = new Access(
    { files: accessFiles, authenticator, tokens, logIns, recentFailures, log },
    { tokenUrl: config.access.tokenUrl },
  )
  const blockAccess = new BlockAccess({ condition, index, withheld: index.history })
  const trust = new PeerTrust({ files: accessFiles, log })
  const own = new OwnCertificate({ log }, { dataDir: directory.path })
  // whoever is connected had to have the key
  const inSwarm = inputs.swarmKey !== undefined
  const audience = (): Puller => access.peer('', inSwarm)
  const pullerOf: AccessParts['pullerOf'] = peer => {
    const groups = trust.groupsOf(peer)
    return groups instanceof Promise
      ? groups.then(settled => access.peer(peer, inSwarm, settled))
      : access.peer(peer, inSwarm, groups)
  }
  return {
    access,
    accessFiles,
    auditLog,
    accessReview: async () => {
      const { buildAccessReview } = await import('./access-review.ts')
      return buildAccessReview({ config, files: accessFiles, keyUses, log, recentFailures })
    },
    blockAccess,
    audience,
    pullerOf,
    knowsPeer: peer => access.namesPeer(peer) || Array.isArray(trust.groupsOf(peer)),
    peerAccess: buildPeerAccess({ audience, blockAccess, own, pullerOf, trust }),
    parts: [
      ...(auditLog === undefined ? [] : [part('audit log', auditLog)]),
      part('thread for passwords', { stop: async () => await comparison.stop() }),
      part('log-in providers', { stop: async () => await providers.stop() }),
      part('keys of issuers', { stop: async () => await foreign.stop() }),
      part('access rules', accessFiles),
      part('keys of tokens', { start: async () => access.isClosed && (await keys.load()) }),
    ],
  }
}

function buildPeerAccess({
  audience,
  blockAccess,
  own,
  pullerOf,
  trust,
}: Pick<AccessParts, 'audience' | 'blockAccess' | 'pullerOf'> & { own: OwnCertificate; trust: PeerTrust }): PeerAccess {
  return {
    mayFetch: (peer, cid) => {
      const puller = pullerOf(peer)
      return puller instanceof Promise
        ? puller.then(settled => blockAccess.mayPeerFetch(settled, cid))
        : blockAccess.mayPeerFetch(puller, cid)
    },
    isPublic: cid => blockAccess.mayGet(audience(), cid),
    certificates: {
      own: async peer => await own.read(peer),
      show: (peer, text) => {
        trust.show(peer, text)
      },
      forget: peer => {
        trust.forget(peer)
      },
    },
  }
}

function buildAuditLog(
  { auditLog: path, auditLogBytes, auditLogFiles }: Config['access'],
  log: Logger,
): AuditLog | undefined {
  return path === undefined ? undefined : new AuditLog({ log }, { path, maxBytes: auditLogBytes, files: auditLogFiles })
}
