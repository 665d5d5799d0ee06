import type { ComponentType } from 'preact'
import type { Session } from './answers.ts'
import type { Route } from './router.ts'

export type PageType = ComponentType<{ route: Route }>

/** A page beside those of images. It is loaded when somebody opens it. */
export interface Section {
  /** In its address, `#/-/<name>` */
  name: string
  /** In the navigation, and of the window */
  title: string
  load: () => Promise<PageType>
  /** To whom the navigation shows it; the page itself says why somebody may not see it */
  isFor: (session: Session) => boolean
}

/** In the order of the navigation, one for each line */
export const sections: readonly Section[] = [
  {
    name: 'network',
    title: 'Network',
    isFor: administrators,
    load: async () => (await import('./pages/network.ts')).NetworkPage,
  },
  {
    name: 'storage',
    title: 'Storage',
    isFor: administrators,
    load: async () => (await import('./pages/storage.ts')).StoragePage,
  },
  {
    name: 'access',
    title: 'Access',
    load: async () => (await import('./pages/access.ts')).AccessPage,
    isFor: administrators,
  },
  {
    name: 'upstreams',
    title: 'Upstreams',
    load: async () => (await import('./pages/upstreams.ts')).UpstreamsPage,
    isFor: administrators,
  },
]

/** Those who may administer this registry */
function administrators({ mayAdminister }: Session): boolean {
  return mayAdminister
}
