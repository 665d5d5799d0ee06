import type { Index } from '../../index/index.ts'

export interface MirroredTagsComponents {
  index: Pick<Index, 'change' | 'mirroredTag'>
}

/** When upstreams were last asked to what their tags point */
export class MirroredTags {
  readonly #components: MirroredTagsComponents

  constructor(components: MirroredTagsComponents) {
    this.#components = components
  }

  /** @returns milliseconds since upstream was last asked; Infinity where it never was */
  async age(repository: string, tag: string): Promise<number> {
    const record = await this.#components.index.mirroredTag(repository, tag)
    const age = record === undefined ? Infinity : Date.now() - Date.parse(record.checked)
    // a clock that was put back must not keep a tag for ever
    return age < 0 ? Infinity : age
  }

  /** To be called when upstream has told to what the tag points, and that is here */
  async checked(repository: string, tag: string): Promise<void> {
    const record = { checked: new Date().toISOString() }
    await this.#components.index.change().putMirroredTag(repository, tag, record).commit({ durable: false })
  }

  /** To be called when upstream no longer has the tag */
  async gone(repository: string, tag: string): Promise<void> {
    await this.#components.index.change().deleteMirroredTag(repository, tag).commit({ durable: false })
  }
}
