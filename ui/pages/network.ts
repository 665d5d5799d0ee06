import { h, type ComponentChild } from 'preact'
import type { NetworkReport, PeerLine } from '../answers.ts'
import { useReport } from '../live.ts'
import { DataTable, type TableRow } from '../parts/data-table.ts'
import { BytesChart } from '../parts/chart.ts'
import { Copyable } from '../parts/copy.ts'
import { Facts, Part } from '../parts/facts.ts'
import { AdministratorNotice } from '../parts/administrators.ts'
import { Notice } from '../parts/notice.ts'
import { count, formatSize, plain } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'

/** The IPFS node of the registry and its peers */
export function NetworkPage(): ComponentChild {
  const { again, data, error } = useReport('network')
  return h(
    'div',
    {},
    h('h1', {}, 'Network'),
    error !== undefined && h(AdministratorNotice, { error, again }),
    error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    data !== undefined && [
      h(Node, { key: 'node', report: data }),
      h(Peers, { key: 'peers', ...data.peers }),
      h(Transfers, { key: 'transfers', ...data.transfers }),
      h(Part, { key: 'served', title: 'Served to clients' }, h(BytesChart, data.served)),
      h(Name, { key: 'name', report: data }),
    ],
  )
}

const profiles = {
  offline: 'offline: no other node',
  lan: 'lan: nodes of the local network',
  private: 'private: nodes that have the same swarm key',
  public: 'public: the whole IPFS network',
}

const answers = { yes: 'Yes.', no: 'No.', partly: 'In part.', unknown: 'Nobody can tell yet.' }

function Node({ report: { addresses, peerId, profile, reachability } }: { report: NetworkReport }): ComponentChild {
  return h(
    Part,
    { title: 'This node' },
    h(Facts, {
      facts: [
        ['Network', profiles[profile]],
        ['Peer ID', peerId && h(Copyable, { text: peerId, what: 'the peer ID' })],
        [
          'Reachable',
          h(
            'div',
            {},
            h('p', {}, h('strong', {}, answers[reachability.answer]), ' ', plain(reachability.reason)),
            reachability.advice !== undefined && h('p', {}, reachability.advice),
          ),
        ],
        [
          'Addresses',
          addresses.length === 0
            ? undefined
            : h(
                'ul',
                { class: 'plain' },
                addresses.map(address =>
                  h('li', { key: address }, h(Copyable, { text: address, what: `the address ${address}` })),
                ),
              ),
        ],
      ],
    }),
  )
}

function Peers({ items, total }: NetworkReport['peers']): ComponentChild {
  if (total === 0) {
    return h(Part, { title: 'Peers' }, h(Notice, { title: 'Connected to no peer' }))
  }
  return h(
    Part,
    { title: 'Peers' },
    h(
      'p',
      { class: 'quiet' },
      `${count(total, 'peer')}${items.length < total ? `, of which ${items.length} are listed` : ''}`,
    ),
    h(DataTable, {
      label: 'Peers',
      columns: ['Peer', 'Runs', 'Latency', 'Sent', 'Received', 'Connection'],
      numbers: ['Latency', 'Sent', 'Received'],
      rows: items.map(peerRow),
    }),
  )
}

const directions = { inbound: 'it connected', outbound: 'this node connected', both: 'both ways' }

function peerRow(line: PeerLine): TableRow {
  const { address, agent, direction, isConfigured, latency, limited, peer, received, sent } = line
  return {
    key: peer,
    cells: [
      [h('code', { title: `${peer} at ${address}` }, shortPeer(peer)), isConfigured && ' configured'],
      agent === undefined ? '–' : h('bdi', {}, plain(agent)),
      latency === undefined ? '–' : latency < 1 ? '< 1 ms' : `${Math.round(latency)} ms`,
      formatSize(sent),
      formatSize(received),
      `${directions[direction]}${limited ? ', by a relay' : ''}`,
    ],
  }
}

function Transfers({ items, total }: NetworkReport['transfers']): ComponentChild {
  if (total === 0) {
    return h(Part, { title: 'Transfers' }, h('p', { class: 'quiet' }, 'Nothing comes from elsewhere now.'))
  }
  return h(
    Part,
    { title: 'Transfers' },
    h('p', { class: 'quiet' }, `${count(total, 'transfer')} from elsewhere now`),
    h(
      'ul',
      { class: 'rows' },
      items.map(({ came, client, repositories, size, what }, i) =>
        h(
          'li',
          { key: `${what} ${i}`, class: 'row' },
          h('div', {}, h('code', {}, what)),
          h(
            'div',
            { class: 'row-count quiet' },
            `${formatSize(bytesOf(came))}${size === undefined ? '' : ` of ${formatSize(size)}`}`,
          ),
          h(
            'div',
            { class: 'row-facts quiet' },
            Object.entries(came)
              .filter(([, bytes]) => bytes > 0)
              .map(([source, bytes]) =>
                h('span', { key: source }, `${formatSize(bytes)} from ${places[source] ?? source}`),
              ),
            client !== undefined && h('span', {}, `for ${client}`),
            repositories.map(name => h('bdi', { key: name }, plain(name))),
          ),
        ),
      ),
    ),
  )
}

const places: Record<string, string> = { peer: 'peers', gateway: 'gateways', upstream: 'the upstream', disk: 'disk' }

function bytesOf(came: Record<string, number>): number {
  return Object.values(came).reduce((sum, bytes) => sum + bytes, 0)
}

function Name({ report: { name, profile, provided } }: { report: NetworkReport }): ComponentChild {
  return h(
    Part,
    { title: 'Published' },
    h(Facts, {
      facts: [
        [
          'IPNS name',
          name === undefined ? 'nothing was published yet' : h(Copyable, { text: name.name, what: 'the IPNS name' }),
        ],
        ['Points to', name && h('code', {}, name.value)],
        [
          'Record',
          name &&
            h(
              'span',
              {},
              'signed ',
              h(Time, { at: name.signed }),
              ', valid until ',
              new Date(name.validUntil).toLocaleString(),
            ),
        ],
        ['Sent', name?.sent && h('span', {}, h(Time, { at: name.sent.time }), ` to ${count(name.sent.peers, 'peer')}`)],
        [
          'Provided',
          provided === undefined
            ? `nothing: the network profile ${profile} has no DHT to tell`
            : `${count(provided.images.done, 'image')} and ${count(provided.blobs.done, 'blob')} in the last 12 hours; ` +
              `${provided.images.waiting + provided.blobs.waiting} wait`,
        ],
      ],
    }),
  )
}

/** The end of a peer ID, which tells one from another */
function shortPeer(peer: string): string {
  return `…${peer.slice(-8)}`
}
