import { h, type ComponentChild } from 'preact'
import type { ImageDetails } from '../answers.ts'
import { Command, host, isLocal, isSecure } from '../parts/command.ts'
import { PlainHttpNote } from './first-push.ts'
import { Section } from './image-view.ts'

/** The commands that get an image from here, and by its CID from anywhere */
export function PullCommands({ image, reference }: { image: ImageDetails; reference: string }): ComponentChild {
  const { cid, config, kind, repository } = image
  const name = `${host}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`
  const isImage = kind === 'index' || config !== undefined
  const plainHttp = isSecure ? '' : ' --tls-verify=false'
  const commands: [string, string][] = isImage
    ? [
        ['Docker', `docker pull ${name}`],
        ['Podman', `podman pull${plainHttp} ${name}`],
        ['By CID, from any IPDR', `docker pull ${host}/${cid}`],
        ['IPFS', `ipfs get ${cid}`],
      ]
    : [
        ['ORAS', `oras pull${isSecure ? '' : ' --plain-http'} ${name}`],
        ['IPFS', `ipfs get ${cid}`],
      ]
  return h(
    Section,
    { title: 'Pull' },
    h(
      'dl',
      { class: 'commands' },
      commands.map(([tool, text]) =>
        h('div', { key: tool }, h('dt', {}, tool), h('dd', {}, h(Command, { text, what: `the command for ${tool}` }))),
      ),
    ),
    isImage && !isSecure && !isLocal && h(PlainHttpNote, {}),
  )
}
