/** The appliance can't start, for a reason that its operator can correct: reported in one line, without a stack */
export class StartError extends Error {
  static readonly name = 'StartError'
  readonly name = 'StartError'
  readonly expected = true
}
