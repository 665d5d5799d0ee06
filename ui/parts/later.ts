import { h, type ComponentChild } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Route } from '../router.ts'
import type { PageType } from '../sections.ts'

/**
 * A page that is loaded when somebody opens it
 *
 * @param load the same function each time
 */
export function Later({ load, route }: { load: () => Promise<PageType>; route: Route }): ComponentChild {
  const [loaded, setLoaded] = useState<{ page: PageType } | undefined>()
  useEffect(() => {
    load().then(
      page => {
        setLoaded({ page })
      },
      () => {
        location.reload()
      },
    )
  }, [load])
  return loaded === undefined ? null : h(loaded.page, { route })
}
