import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { componentLogger } from '../../../../src/ipfs/node/libp2p-logger.ts'
import { libp2pOptions } from '../../../../src/ipfs/node/libp2p.ts'
import { Patches } from '../../../../src/ipfs/node/patches/patches.ts'
import { parseSwarmKey } from '../../../../src/ipfs/node/swarm-key.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { swarmKey } from '../../../fixtures/ipfs-node.ts'
import type { Libp2pInit } from '../../../../src/ipfs/node/libp2p.ts'

const patches = new Patches({ log: recordingLog() })

function init(network: Libp2pInit['network'], options: Partial<Libp2pInit> = {}): Libp2pInit {
  return {
    network,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    announce: [],
    logger: componentLogger(recordingLog()),
    onPeer: () => {},
    ...options,
  }
}

suite('libp2p options', () => {
  const base = ['identify', 'identifyPush', 'ping']
  const cases = [
    { network: 'lan', transports: 1, mdns: 1, services: base, protector: false, listen: ['/ip4/127.0.0.1/tcp/0'] },
    {
      network: 'private',
      key: swarmKey(),
      transports: 1,
      mdns: 1,
      services: [...base, 'wan', 'lan'],
      protector: true,
      listen: ['/ip4/127.0.0.1/tcp/0'],
    },
    {
      network: 'public',
      transports: 3,
      mdns: 0,
      services: [...base, 'wan', 'lan', 'dcutr'],
      protector: false,
      listen: ['/ip4/127.0.0.1/tcp/0', '/p2p-circuit'],
    },
  ] as const

  for (const { network, transports, mdns, services, protector, listen, ...rest } of cases) {
    test(`of the ${network} network`, () => {
      const options = libp2pOptions(patches, init(network, { swarmKey: 'key' in rest ? rest.key : undefined }))

      assert.equal(options.transports?.length, transports)
      assert.equal(options.peerDiscovery?.length ?? 0, mdns)
      assert.deepEqual(Object.keys(options.services ?? {}), services)
      assert.equal(options.connectionProtector !== undefined, protector)
      assert.deepEqual(options.addresses?.listen, listen)
      assert.equal(options.contentRouters, undefined)
    })
  }

  test('announce the addresses given', () => {
    const announce = ['/dns4/registry.example/tcp/4001']

    assert.deepEqual(libp2pOptions(patches, init('public', { announce })).addresses?.announce, announce)
  })

  test('need a swarm key in the private network, and take none elsewhere', () => {
    assert.throws(() => libp2pOptions(patches, init('private')), {
      name: 'NetworkConfigError',
      message: /needs a swarm key/,
    })
    assert.throws(() => libp2pOptions(patches, init('lan', { swarmKey: swarmKey() })), {
      name: 'NetworkConfigError',
      message: /only with network private/,
    })
  })
})

suite('parseSwarmKey', () => {
  const hex = 'dffb7e3135399a8b1612b2aaca1c36a3a8ac2cd0cca51ceeb2ced87d308cac6d'
  const key = (text: string): Uint8Array => new TextEncoder().encode(text)
  const good = `/key/swarm/psk/1.0.0/\n/base16/\n${hex}`

  for (const [name, text] of Object.entries({
    'as kubo writes it': good,
    'with a newline at its end': `${good}\n`,
    'with the line ends of Windows': `${good}\n`.replaceAll('\n', '\r\n'),
    'in upper case': good.replace(hex, hex.toUpperCase()),
  })) {
    test(name, () => {
      assert.equal(new TextDecoder().decode(parseSwarmKey(key(text))), good)
    })
  }

  for (const [name, text, message] of [
    ['empty', '', /begin with the line/],
    ['without its header', hex, /begin with the line/],
    ['of another encoding', good.replace('base16', 'base64'), /second line/],
    ['too short', good.slice(0, -2), /64 hexadecimal digits/],
    ['no hexadecimal digits', good.replace('dff', 'xyz'), /64 hexadecimal digits/],
    ['too long', `${good}\n${hex}`, /64 hexadecimal digits/],
  ] as const) {
    test(name, () => {
      assert.throws(
        () => parseSwarmKey(key(text)),
        (err: Error) => {
          assert.equal(err.name, 'NetworkConfigError')
          assert.match(err.message, message)
          assert.ok(!err.message.includes(hex.slice(8, 32)), 'a message must not hold the key')

          return true
        },
      )
    })
  }
})

test('what libp2p calls an error is a debug line of ours', () => {
  const log = recordingLog()
  const libp2pLog = componentLogger(log).forComponent('libp2p:dial').newScope('tcp')

  libp2pLog('dialling %a', 'somewhere')
  libp2pLog.trace('more of it')
  libp2pLog.error('cannot dial %p of 100%% - %e', 'peer', new TypeError('no'), 'extra')

  assert.deepEqual(log.lines, [
    {
      level: 'debug',
      message: 'IPFS node reports an error',
      fields: { component: 'libp2p:dial:tcp', error: 'cannot dial peer of 100% - TypeError: no extra' },
    },
  ])
})
