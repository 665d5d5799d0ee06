/**
 * Writes what a release consists of as a CycloneDX SBOM: sbom.ts <file> [image]
 *
 * Without an image: the packages of package-lock.json that the program consists of, as `npm sbom` lists them, and the
 * Node.js of the executables. With the name of a container image, which docker has: what lies in it, packages of Debian
 * included. Two runs for one commit and image write the same file.
 *
 * @see https://cyclonedx.org/docs/1.5/json/
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import lock from '../package-lock.json' with { type: 'json' }
import packageJson from '../package.json' with { type: 'json' }
import { projectDirectory } from './bundle.ts'

interface Component {
  'bom-ref': string
  type: string
  name: string
  version?: string
  purl?: string
  [field: string]: unknown
}

interface Sbom {
  bomFormat: 'CycloneDX'
  specVersion: string
  serialNumber: string
  metadata: { timestamp: string; component: Component; [field: string]: unknown }
  components: Component[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

/** What {@link lister} finds in an image */
interface Found {
  node: string
  /** Name and version */
  packages: [string, string][]
  /** Name, version and architecture */
  debian: [string, string, string][]
  os: Record<string, string>
}

/** Runs in the image, with its Node and the programs of Debian */
const lister = `
const { execFileSync } = require('node:child_process')
const { readFileSync } = require('node:fs')
const packages = JSON.parse(readFileSync('/app/dist/packages.json', 'utf8'))
const format = '\${Package}\\t\${Version}\\t\${Architecture}\\n'
const debian = execFileSync('dpkg-query', ['-W', '-f', format], { encoding: 'utf8' })
  .trim().split('\\n').map(line => line.split('\\t'))
const os = Object.fromEntries(readFileSync('/etc/os-release', 'utf8').split('\\n').filter(Boolean)
  .map(line => line.split('=')).map(([name, value]) => [name, value.replaceAll('"', '')]))
console.log(JSON.stringify({ node: process.versions.node, packages, debian, os }))
`

const [file, image] = process.argv.slice(2)
if (file === undefined) {
  throw new Error('usage: sbom.ts <file> [image]')
}
const listed = withoutDevelopment(
  JSON.parse(run('npm', 'sbom', '--sbom-format', 'cyclonedx', '--package-lock-only')) as Sbom,
)
const sbom = image === undefined ? ofPackage(listed) : ofImage(listed, image)
await writeFile(file, `${JSON.stringify(withIdentity(sbom), undefined, 2)}\n`)

/** `npm sbom --omit dev` leaves out what is needed by the program as well, where a development package needs it, too */
function withoutDevelopment(npm: Sbom): Sbom {
  const { '': project, ...packages } = lock.packages as Record<string, { version: string; dev?: boolean }>
  // what makes the bundle is not in it
  const shipped = Object.entries(packages).filter(([path, { dev }]) => dev !== true && !path.includes('esbuild'))
  const refs = new Set(shipped.map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`))
  refs.add(`${packageJson.name}@${project!.version}`)
  return {
    ...npm,
    components: npm.components.filter(component => refs.has(component['bom-ref'])),
    dependencies: npm.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ dependsOn, ref }) => ({ ref, dependsOn: dependsOn.filter(other => refs.has(other)) })),
  }
}

function ofPackage(npm: Sbom): Sbom {
  const component: Component = { ...npm.metadata.component, type: 'application', name: packageJson.name }
  return sbomOf(npm, component, [...npm.components, nodeOf(process.versions.node)], npm.dependencies)
}

function ofImage(npm: Sbom, name: string): Sbom {
  const found = JSON.parse(
    run('docker', 'run', '--rm', '--network', 'none', '--entrypoint', 'node', name, '--eval', lister),
  ) as Found
  const known = new Map(npm.components.map(component => [`${component.name}@${component.version}`, component]))
  const packages = found.packages.map(
    ([name, version]): Component =>
      known.get(`${name}@${version}`) ?? {
        'bom-ref': `${name}@${version}`,
        type: 'library',
        name,
        version,
        purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
      },
  )
  const { ID: id = 'linux', VERSION_ID: version = '', PRETTY_NAME: description = '' } = found.os
  const debian = found.debian.map(([name, packageVersion, arch]): Component => {
    const query = new URLSearchParams({ arch, distro: `${id}-${version}` })
    const purl = `pkg:deb/${id}/${encodeURIComponent(name)}@${encodeURIComponent(packageVersion)}?${query.toString()}`
    return { 'bom-ref': purl, type: 'library', name, version: packageVersion, purl }
  })
  const system = { 'bom-ref': `${id}@${version}`, type: 'operating-system', name: id, version, description }
  const component: Component = {
    'bom-ref': `ipdr-server@${packageJson.version}`,
    type: 'container',
    name: 'ipdr-server',
    version: packageJson.version,
    description: packageJson.description,
    properties: [
      { name: 'ipdr:image:id', value: run('docker', 'image', 'inspect', '--format', '{{.Id}}', name).trim() },
    ],
  }
  const refs = new Set([...packages, ...debian].map(each => each['bom-ref']))
  const dependencies = npm.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(other => refs.has(other)) }))
  return sbomOf(npm, component, [...packages, nodeOf(found.node), system, ...debian], dependencies)
}

/** Without what differs from run to run; each component once */
function sbomOf(
  npm: Sbom,
  component: Component,
  components: readonly Component[],
  dependencies: Sbom['dependencies'],
): Sbom {
  const { metadata, ...rest } = npm
  const byRef = new Map(components.map(each => [each['bom-ref'], each]))
  return {
    ...rest,
    serialNumber: '',
    metadata: { ...metadata, timestamp: timeOfCommit(), component },
    components: [...byRef.values()].sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1)),
    dependencies,
  }
}

function nodeOf(version: string): Component {
  return {
    'bom-ref': `node.js@${version}`,
    type: 'platform',
    name: 'node.js',
    version,
    purl: `pkg:generic/node.js@${version}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
  }
}

/** A UUID that depends on nothing but what the SBOM says (version 8 of RFC 9562) */
function withIdentity(sbom: Sbom): Sbom {
  const bytes = createHash('sha256').update(JSON.stringify(sbom)).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const uuid = bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return { ...sbom, serialNumber: `urn:uuid:${uuid}` }
}

function timeOfCommit(): string {
  try {
    return new Date(run('git', 'log', '-1', '--format=%cI').trim()).toISOString()
  } catch {
    // not a clone, but an archive of the source
    return new Date(0).toISOString()
  }
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    cwd: projectDirectory,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
