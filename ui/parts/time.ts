import { h, type ComponentChild } from 'preact'
import { formatAge } from './texts.ts'

/** When something was; pointing at it shows the time by the clock */
export function Time({ at }: { at: string | undefined }): ComponentChild {
  const time = new Date(at ?? '')
  // a config may say anything, and builders that leave the time out say 1970 or year 1
  if (Number.isNaN(time.getTime()) || time.getFullYear() < 1980) {
    return null
  }
  return h('time', { dateTime: time.toISOString(), title: time.toLocaleString() }, formatAge(time))
}
