import type { OciError } from '../../oci/errors.ts'
import type { PutManifest, Repository } from '../repository.ts'

type Writes = Pick<Repository, 'deleteBlob' | 'deleteManifest' | 'mountBlob' | 'putManifest' | 'requireWritable'>

/** What a repository is that nobody can push to or delete from */
export abstract class ReadOnlyRepository implements Writes {
  /** Why, and what to do instead */
  protected abstract refusal(): OciError

  async putManifest(_manifest: PutManifest): Promise<never> {
    throw this.refusal()
  }

  async deleteManifest(): Promise<never> {
    throw this.refusal()
  }

  async deleteBlob(): Promise<never> {
    throw this.refusal()
  }

  async mountBlob(): Promise<never> {
    throw this.refusal()
  }

  requireWritable(): void {
    throw this.refusal()
  }
}
