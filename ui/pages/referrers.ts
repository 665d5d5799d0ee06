import { h, type ComponentChild } from 'preact'
import type { Limited, Pair, Referrer } from '../answers.ts'
import { formatSize, plain, shortDigest } from '../parts/texts.ts'
import { linkTo } from '../router.ts'
import { More, Section } from './image-view.ts'

/** What people call the types that are common */
const names: [RegExp, string][] = [
  [/cosign.*(signature|simplesigning|artifact\.sig)|sigstore\.bundle|notary.*signature/, 'Signature'],
  [/spdx|cyclonedx|sbom/, 'SBOM'],
  [/in-toto|provenance|attestation/, 'Attestation'],
]

/** Signatures, SBOMs and the like, as a tree */
export function Referrers({
  referrers,
  repository,
}: {
  repository: string
  referrers: Limited<Referrer>
}): ComponentChild {
  return referrers.total === 0
    ? null
    : h(
        Section,
        { title: 'Signatures, SBOMs and more' },
        h(Tree, { repository, referrers: referrers.items }),
        h(More, { list: { ...referrers, items: flat(referrers.items) }, what: 'more' }),
      )
}

function Tree({ referrers, repository }: { repository: string; referrers: readonly Referrer[] }): ComponentChild {
  return h(
    'ul',
    { class: 'tree' },
    referrers.map(({ annotations, artifactType = 'unknown type', digest, referrers: below, signature, size }) =>
      h(
        'li',
        { key: digest },
        h('a', { href: linkTo(repository, digest) }, h('bdi', {}, nameOf(artifactType, annotations.items))),
        ' ',
        signature && h(Verdict, { signature }),
        h(
          'span',
          { class: 'quiet' },
          h('bdi', {}, plain(artifactType)),
          ` · ${formatSize(size)} · `,
          h('code', {}, shortDigest(digest)),
        ),
        annotations.items.length > 0 &&
          h(
            'ul',
            { class: 'plain quiet' },
            annotations.items
              .slice(0, 5)
              .map(({ name, value }, i) =>
                h('li', { key: i }, h('bdi', {}, plain(name)), ': ', h('bdi', {}, plain(value))),
              ),
          ),
        below.length > 0 && h(Tree, { repository, referrers: below }),
      ),
    ),
  )
}

/** In words, as colours alone tell not everybody */
function Verdict({ signature }: { signature: NonNullable<Referrer['signature']> }): ComponentChild {
  return signature.verified
    ? h('span', {}, '✓ verified, by the key ', h('bdi', {}, plain(signature.key)), ' ')
    : h('span', {}, `✗ not verified: ${signature.reason} `)
}

/** A bundle of cosign says what its statement is for in an annotation */
function nameOf(artifactType: string, annotations: readonly Pair[]): string {
  const predicate = annotations.find(({ name }) => name === 'dev.sigstore.bundle.predicateType')?.value
  const isSignature = predicate === undefined || predicate === 'https://sigstore.dev/cosign/sign/v1'
  return (!isSignature && 'Attestation') || (names.find(([pattern]) => pattern.test(artifactType))?.[1] ?? 'Other')
}

function flat(referrers: readonly Referrer[]): Referrer[] {
  return referrers.flatMap(referrer => [referrer, ...flat(referrer.referrers)])
}
