import type { Request, Response } from 'express'
import { OciError } from '../../oci/errors.ts'
import { parseName } from '../../oci/reference.ts'
import type { Registry } from '../../registry/repositories/registry.ts'

/**
 * The repository that a request is about: the one of its path, or with `ns`, which containerd sends, that of another
 * registry. Every route asks this, so that all treat `ns` alike.
 *
 * @throws OciError NAME_INVALID; NAME_UNKNOWN where `ns` is not mirrored; DENIED for a write, as a mirror takes none
 * @see https://github.com/containerd/containerd/blob/main/docs/hosts.md
 */
export function repositoryName(req: Request, res: Response, registry: Registry): string {
  const name = parseName(req.params['name'])
  const namespace = registry.hasMirrors ? namespaceOf(req) : undefined
  if (namespace === undefined) {
    return name
  }
  const full = registry.nameIn(namespace, name)
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    throw new OciError('DENIED', {
      detail: { name: full, upstream: namespace, reason: `this mirrors ${namespace}: push to ${namespace}` },
    })
  }
  res.set('OCI-Namespace', namespace)
  // the log and the audit record say what it stands for
  res.locals.params = { ...req.params, name: full }
  return full
}

/** `ns` of a request: the host of the registry that the client asks by way of this one */
export function namespaceOf({ query: { ns } }: Request): string | undefined {
  return ns === undefined ? undefined : String([ns].flat()[0])
}
