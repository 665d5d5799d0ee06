/** A table of Markdown; in its cells, `|` is a character like any other */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows.map(row => row.map(plainCell))]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

/** In one line; words with characters that Markdown or a site would take for its own become code */
function plainCell(text: string): string {
  const line = text.replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')
  return line
    .split(/(`[^`]*`)/)
    .map(part => (part.startsWith('`') ? part : part.replaceAll(/[^\s,;()]*[<*][^\s,;()]*/g, '`$&`')))
    .join('')
}
