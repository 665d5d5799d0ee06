/** The candidate that a mistyped word most likely means, ignoring case and separators; undefined if none is close */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = normalise(word)
  // what comes from a file may be of any length
  if (wanted.length > 100) {
    return undefined
  }
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(wanted.length / 4)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalise(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function normalise(word: string): string {
  return word.toLowerCase().replace(/[-_.\s]/g, '')
}

/** Letters added, left out, replaced, or swapped with their neighbour */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = row[j]! + (a[i] === b[j] ? 0 : 1)
      const swapped = i > 0 && j > 0 && a[i] === b[j - 1] && a[i - 1] === b[j] ? before[j - 1]! + 1 : replaced
      next.push(Math.min(replaced, swapped, row[j + 1]! + 1, next[j]! + 1))
    }
    before = row
    row = next
  }
  return row[b.length]!
}
