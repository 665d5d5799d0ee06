import { OciError } from '../../../oci/errors.ts'
import { parseName } from '../../../oci/reference.ts'
import { SharedCalls } from '../../../scheduling/shared-calls.ts'
import type { Mirrors } from '../../repository.ts'
import type { FoundManifest, Repository } from '../../repository.ts'
import { MirrorRepository, type MirrorRepositoryComponents } from './mirror-repository.ts'
import type { Upstream } from '../../upstream.ts'

/** A name whose first part is a host, as docker tells it from that of a repository; its `:` of a port is a `_` here */
const withHost = /^(localhost(?:_\d+)?|[^/]*\.[^/]*)\//
/** Docker's own registry, where a name of one part is short for one below `library` */
const dockerHub = 'docker.io'

export interface UpstreamMirrorsComponents extends Omit<MirrorRepositoryComponents, 'shared'> {
  /** By name */
  upstreams: ReadonlyMap<string, Upstream>
  /** The repository of this registry that keeps what is mirrored under this name */
  local: (name: string) => Repository
}

export interface UpstreamMirrorsInit {
  /** The upstream of names that have no repository here; undefined: none */
  fallback?: string | undefined
}

/** A name here, and what it stands for */
interface MirroredName {
  /** `<upstream>/<repository>` */
  name: string
  upstream: Upstream
  /** Name at the upstream */
  repository: string
}

/** The names under which repositories of other registries are found here */
export class UpstreamMirrors implements Mirrors {
  readonly #components: UpstreamMirrorsComponents & MirrorRepositoryComponents
  readonly #fallback: string | undefined
  /** By the first part of names here */
  readonly #byPrefix: ReadonlyMap<string, Upstream>

  constructor(components: UpstreamMirrorsComponents, { fallback }: UpstreamMirrorsInit = {}) {
    this.#components = { ...components, shared: new SharedCalls<FoundManifest>() }
    this.#fallback = fallback
    this.#byPrefix = new Map(
      Array.from(components.upstreams, ([name, upstream]): [string, Upstream] => [prefixOf(name), upstream]),
    )
  }

  named(namespace: string, name: string): string {
    if (!this.#components.upstreams.has(namespace)) {
      throw new OciError('NAME_UNKNOWN', {
        detail: {
          ns: namespace.slice(0, 255),
          reason: 'this registry does not mirror the one that ns names: it is not among its upstreams',
        },
      })
    }
    const full = fullName(namespace, name)
    return parseName(full)
  }

  repository(name: string): MirrorRepository | undefined {
    const found = this.find(name)
    if (found === undefined) {
      return undefined
    }
    const { repository, upstream } = found
    if (!upstream.mirrors(repository)) {
      throw new OciError('NAME_UNKNOWN', {
        detail: { name: found.name, upstream: upstream.name, reason: 'the configuration leaves this repository out' },
      })
    }
    const local = this.#components.local(found.name)
    return new MirrorRepository(this.#components, { upstream, repository, local })
  }

  /** The name here of a repository of an upstream */
  nameBelow(upstream: string, repository: string): string {
    return fullName(upstream, repository)
  }

  /** @returns undefined where the name is not below one of an upstream */
  find(name: string): MirroredName | undefined {
    const slash = name.indexOf('/')
    const upstream = slash === -1 ? undefined : this.#byPrefix.get(name.slice(0, slash))
    if (upstream === undefined) {
      return undefined
    }
    const full = fullName(upstream.name, name.slice(slash + 1))
    return { name: full, upstream, repository: full.slice(full.indexOf('/') + 1) }
  }

  fallbackName(name: string): string | undefined {
    const isAnother = this.#fallback === undefined || withHost.test(name) || this.find(name) !== undefined
    return isAnother ? undefined : fullName(this.#fallback, name)
  }

  reasonAgainst(name: string): string | undefined {
    const host = this.find(name) === undefined ? withHost.exec(name)?.[1] : undefined
    return host && `${host} is not mirrored: it is not among the upstreams of this registry`
  }
}

function fullName(upstream: string, repository: string): string {
  const isShort = upstream === dockerHub && !repository.includes('/')
  return `${prefixOf(upstream)}/${isShort ? 'library/' : ''}${repository}`
}

/** What names of an upstream's repositories begin with here; they can't have the colon of a port */
export function prefixOf(upstream: string): string {
  return upstream.replaceAll(':', '_')
}
