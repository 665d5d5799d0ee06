import { h, type ComponentChild } from 'preact'
import { Command, host, isLocal, isSecure } from '../parts/command.ts'

/** What a registry without images shows: how the first one gets there */
export function FirstPush(): ComponentChild {
  return h(
    'section',
    { class: 'panel' },
    h('h2', {}, 'Push the first image'),
    h(
      'p',
      {},
      'This registry is empty. Give any image that you have a name that begins with ',
      h('code', {}, host),
      ', and push it. It shows up here by itself.',
    ),
    h('h3', {}, 'With Docker'),
    h(Command, {
      what: 'the docker commands',
      text: `docker pull hello-world\ndocker tag hello-world ${host}/hello-world\ndocker push ${host}/hello-world`,
    }),
    h('h3', {}, 'With Podman'),
    h(Command, {
      what: 'the podman commands',
      text: `podman pull docker.io/library/hello-world\npodman push${isSecure ? '' : ' --tls-verify=false'} docker.io/library/hello-world ${host}/hello-world`,
    }),
    !isSecure && !isLocal && h(PlainHttpNote, {}),
  )
}

/** For a registry that is reached over plain HTTP from another machine */
export function PlainHttpNote(): ComponentChild {
  return h(
    'p',
    { class: 'quiet' },
    'Docker speaks to other machines by TLS alone, unless ',
    h('code', {}, `"insecure-registries": ["${host}"]`),
    ' is in its daemon.json.',
  )
}
