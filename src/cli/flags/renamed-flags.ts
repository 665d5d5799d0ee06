/** Flags by their names in the original IPDR, which are still accepted */
const renamedFlags = new Map([
  ['--tlsCertPath', '--tls-cert-path'],
  ['--tlsKeyPath', '--tls-key-path'],
])

/** An argument of the command line, with the current name if it is a renamed flag */
export function withCurrentFlag(argument: string): string {
  const [flag = '', ...value] = argument.split('=')
  return [renamedFlags.get(flag) ?? flag, ...value].join('=')
}
