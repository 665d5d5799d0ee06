import { type Finding, ok, wrong } from './finding.ts'

/** The same as `engines` in package.json */
export const oldestNode = '24.12'

/** @param version such as `24.12.0` */
export function checkNode(version: string): Finding {
  const check = 'Node.js'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = oldestNode.split('.').map(Number)
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
    ? ok(check, `version ${version}`)
    : wrong(check, `version ${version}, which is too old`, `Install Node.js ${oldestNode} or newer.`)
}
