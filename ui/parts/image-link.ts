import { h, type ComponentChild } from 'preact'
import { hasImages } from '../router.ts'

/** A link to a page of images, from one for administrators; only its text where there are no such pages */
export function ImageLink({ href, text }: { href: string; text: string }): ComponentChild {
  return hasImages ? h('a', { href }, text) : h('bdi', {}, text)
}
