/**
 * The pages in a browser. `router.ts` knows where they are, `api.ts` asks the server, `frame.ts` is around every page,
 * pages/ has one file for each, parts/ what several pages show. A browser loads these files as they are, without their
 * types (src/http/pages/), so there is no JSX: `h(element, properties, ...children)` instead.
 */
import { h, render } from 'preact'
import { Frame } from './frame.ts'

render(h(Frame, {}), document.getElementById('app')!)
