import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import type { ImageDetails } from '../answers.ts'
import { linkTo, type Route } from '../router.ts'
import { useAnswer } from '../api.ts'
import { changes } from '../changes.ts'
import { Later } from '../parts/later.ts'
import { ErrorNotice } from '../parts/notice.ts'
import { OutcomeNotice } from '../parts/outcome.ts'
import { Path } from '../parts/path.ts'
import { DeleteDialog } from './deletion.ts'
import type { PageType } from '../sections.ts'
import { ImageView } from './image-view.ts'
import { TagDialog } from './tagging.ts'

const comparePage = async (): Promise<PageType> => (await import('./compare.ts')).ComparePage

/** One image, by tag or digest, or what it has in common with another */
export function ImagePage({ route }: { route: Route }): ComponentChild {
  return route.query.get('view') === 'compare' ? h(Later, { load: comparePage, route }) : h(OneImage, { route })
}

function OneImage({ route: { reference, repository } }: { route: Route }): ComponentChild {
  const { again, data, error } = useAnswer('image', { repository, reference, after: changes.value })
  return h(
    'div',
    {},
    h(Path, { repository, reference }),
    h(OutcomeNotice, {}),
    error !== undefined && h(ErrorNotice, { error, again }),
    error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    data !== undefined && h(Actions, { image: data, reference }),
    data !== undefined && h(ImageView, { image: data, reference }),
  )
}

/** What somebody may do with an image */
function Actions({ image, reference }: { image: ImageDetails; reference: string }): ComponentChild {
  const [open, setOpen] = useState<'tag' | 'delete' | undefined>()
  const { may, repository } = image
  const onClose = (): void => {
    setOpen(undefined)
  }
  const button = (name: 'tag' | 'delete', text: string): ComponentChild =>
    h(
      'button',
      {
        type: 'button',
        onClick: () => {
          setOpen(name)
        },
      },
      text,
    )
  const isTag = !reference.includes(':')
  return h(
    'div',
    { class: 'actions' },
    may.tag && button('tag', 'Tag…'),
    may.delete && isTag && button('delete', 'Delete…'),
    h('a', { class: 'button', href: linkTo(repository, reference, { view: 'compare' }) }, 'Compare with…'),
    may.undo &&
      isTag &&
      h('a', { class: 'button', href: linkTo(repository, '', { view: 'history', tag: reference }) }, 'History'),
    open === 'tag' && h(TagDialog, { image, onClose }),
    open === 'delete' &&
      h(DeleteDialog, {
        repository,
        tags: [reference],
        onClose,
        onDeleted: () => {
          location.hash = linkTo(repository)
        },
      }),
  )
}
