/**
 * `Via`, in which each registry that passes a request on names itself, so that one that gets its own request back
 * notices it
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3
 */

/** @param id of this registry: letters, digits and hyphens */
export function addVia(via: string | undefined, id: string): string {
  const own = `1.1 ${id} (ipdr)`
  return via === undefined || via.trim() === '' ? own : `${via}, ${own}`
}

/** Whether a registry has passed the request on before */
export function hasVia(via: string, id: string): boolean {
  return via.split(',').some(part => part.trim().split(/\s+/)[1] === id)
}
