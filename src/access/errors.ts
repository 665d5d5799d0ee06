/** Nobody has this name, or no repository can have that one */
export class AccessQuestionError extends Error {
  static readonly name = 'AccessQuestionError'
  readonly name = 'AccessQuestionError'
  /** What is not there */
  readonly what: 'user' | 'key' | 'issuer' | 'repository'

  constructor(message: string, what: AccessQuestionError['what']) {
    super(message)
    this.what = what
  }
}
