import { h, type ComponentChild } from 'preact'
import type { Route } from '../router.ts'
import { useAnswer } from '../api.ts'
import { ErrorNotice } from '../parts/notice.ts'
import { Path } from '../parts/path.ts'
import { ImageView } from './image-view.ts'

/** One image, by tag or digest */
export function ImagePage({ route: { reference, repository } }: { route: Route }): ComponentChild {
  const { again, data, error } = useAnswer('image', { repository, reference })
  return h(
    'div',
    {},
    h(Path, { repository, reference }),
    error !== undefined && h(ErrorNotice, { error, again }),
    error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    data !== undefined && h(ImageView, { image: data, reference }),
  )
}
