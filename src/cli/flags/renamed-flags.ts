/** Flags that the original IPDR spelled otherwise */
const olderFlags = new Map([
  ['--tlsCertPath', '--tls-cert-path'],
  ['--tlsKeyPath', '--tls-key-path'],
])

export function withCurrentFlag(argument: string): string {
  const [flag = '', ...value] = argument.split('=')
  return [olderFlags.get(flag) ?? flag, ...value].join('=')
}
