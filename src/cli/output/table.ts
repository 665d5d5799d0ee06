import { printable } from './printable.ts'

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Aligns rows of cells in columns; cells are made printable */
export function table(cells: ReadonlyArray<readonly string[]>): string {
  const rows = cells.map(row => row.map(printable))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  return rows
    .map(
      row =>
        `${row
          .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** How much of something is here, such as `37 % of 1.5 GiB` */
export function formatShare(here: number, size: number, format: (size: number) => string = formatSize): string {
  return `${Math.floor((100 * here) / Math.max(1, size))} % of ${format(size)}`
}

/** Bytes as people read them, such as `1.5 GiB` */
export function formatSize(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`
}
