import { h, type ComponentChild } from 'preact'
import type { ReviewedUpstream } from '../answers.ts'
import { useAnswer } from '../api.ts'
import { AdministratorNotice } from '../parts/administrators.ts'
import { ImageLink } from '../parts/image-link.ts'
import { Notice } from '../parts/notice.ts'
import { count, formatSize, plain } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'
import { linkTo } from '../router.ts'

/** Milliseconds */
const refresh = 5000

/** The other registries that are mirrored; for administrators */
export function UpstreamsPage(): ComponentChild {
  const { again, data, error } = useAnswer('upstreams', {}, refresh)
  return h(
    'div',
    {},
    h('h1', {}, 'Upstreams'),
    error !== undefined && h(AdministratorNotice, { error, again }),
    error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    data?.upstreams.length === 0 && h(None, {}),
    data?.upstreams.map(upstream => h(UpstreamView, { key: upstream.name, upstream })),
  )
}

function None(): ComponentChild {
  return h(
    Notice,
    { title: 'No other registry is mirrored' },
    h(
      'p',
      {},
      'With ',
      h('code', {}, '--upstream docker.io'),
      ', this registry fetches images of Docker Hub once, keeps them, and serves them on when Docker Hub is down.',
    ),
  )
}

function UpstreamView({ upstream }: { upstream: ReviewedUpstream }): ComponentChild {
  const { fetched, hits, kept, maxRate, maxRequests, misses, name, prefix, saved, url } = upstream
  const asked = hits + misses
  const share = asked === 0 ? '' : `, ${Math.round((100 * hits) / asked)} % of ${count(asked, 'request')}`
  const facts: [string, ComponentChild][] = [
    ['State', h(State, { upstream })],
    ['Address', url],
    ['Hits', `${hits.toLocaleString('en')}${share}`],
    ['Misses', misses.toLocaleString('en')],
    ['Bytes saved', formatSize(saved)],
    ['Bytes fetched', formatSize(fetched)],
    ['Served from', sourcesOf(upstream)],
    ['Requests', requestsOf(upstream)],
    ['Rate limit', rateLimitOf(upstream)],
    ['Egress cap', maxRate === undefined ? 'none' : `${formatSize(maxRate)} per second`],
    ['At a time', maxRequests === undefined ? undefined : count(maxRequests, 'request')],
    [
      'Kept here',
      kept.repositories === 0
        ? 'nothing yet'
        : [
            h(ImageLink, {
              href: linkTo('', '', { in: prefix }),
              text: count(kept.repositories, 'repository', 'repositories'),
            }),
            ` with ${count(kept.manifests, 'manifest')}, ${formatSize(kept.bytes)}`,
          ],
    ],
  ]
  return h(
    'section',
    { class: 'upstream', 'aria-label': name },
    h('h2', {}, name),
    h(
      'dl',
      { class: 'facts' },
      facts
        .filter(([, value]) => value !== undefined)
        .map(([term, value]) => h('div', { key: term }, h('dt', {}, term), h('dd', {}, value))),
    ),
    h('p', { class: 'quiet' }, 'Counted since the server started.'),
  )
}

function State({ upstream: { answered, failed, pausedUntil } }: { upstream: ReviewedUpstream }): ComponentChild {
  if (failed === undefined) {
    return answered === undefined ? 'not asked yet' : ['works; it last answered ', h(Time, { at: answered })]
  }
  const isOver = answered !== undefined && answered > failed.time
  return [
    pausedUntil !== undefined && ['is left alone until ', new Date(pausedUntil).toLocaleTimeString(), '. '],
    isOver ? ['works; it last answered ', h(Time, { at: answered }), '. '] : h('strong', {}, 'does not deliver. '),
    'Last error ',
    h(Time, { at: failed.time }),
    ': ',
    h('bdi', {}, plain(failed.message)),
  ]
}

function rateLimitOf({ rateLimit }: ReviewedUpstream): ComponentChild {
  if (rateLimit === undefined) {
    return 'it has told of none'
  }
  const { limit, remaining, time, window } = rateLimit
  const of = limit === undefined ? '' : ` of ${limit.toLocaleString('en')}`
  const within = window === undefined ? '' : ` within ${hours(window)}`
  return [`${remaining.toLocaleString('en')}${of} left${within}, as it said `, h(Time, { at: time })]
}

function hours(seconds: number): string {
  return seconds % 3600 === 0 ? count(seconds / 3600, 'hour') : count(Math.round(seconds / 60), 'minute')
}

function sourcesOf({ served }: ReviewedUpstream): string {
  const names: Record<string, string> = { disk: 'here', peer: 'peers', gateway: 'gateways', upstream: 'the upstream' }
  const parts = Object.entries(served).map(([source, bytes]) => `${names[source] ?? source} ${formatSize(bytes)}`)
  return parts.length === 0 ? 'nothing yet' : parts.join(', ')
}

function requestsOf({ requests }: ReviewedUpstream): string {
  const parts = Object.entries(requests).map(([status, times]) =>
    status === 'failed'
      ? `${times.toLocaleString('en')} without an answer`
      : `${times.toLocaleString('en')} answered ${status}`,
  )
  return parts.length === 0 ? 'none' : parts.join(', ')
}
