import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getAsset } from 'node:sea'

/** A native library that lies inside a single-file executable; the system loads libraries from files only */
export function loadAddon (asset: string): unknown {
  const bytes = Buffer.from(getAsset(asset))
  // Windows lets nobody delete a library that is in use, so there it stays for the next time, in a folder that only its user can write to
  return process.platform === 'win32' ? openLibrary(storedLibrary(bytes)) : openDeletedLibrary(bytes)
}

function openDeletedLibrary (bytes: Uint8Array): unknown {
  const directory = mkdtempSync(join(tmpdir(), 'ipdr-library-'))
  try {
    const file = join(directory, 'library.node')
    writeFileSync(file, bytes)
    return openLibrary(file)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function storedLibrary (bytes: Uint8Array): string {
  const file = join(tmpdir(), `ipdr-${createHash('sha256').update(bytes).digest('hex')}.node`)
  if (!existsSync(file)) {
    // under its name only once it is whole
    const temporary = `${file}.${process.pid}`
    writeFileSync(temporary, bytes)
    renameSync(temporary, file)
  }
  return file
}

function openLibrary (file: string): unknown {
  const library = { exports: {} }
  try {
    process.dlopen(library, file)
  } catch (cause) {
    const message = `no library can be loaded from ${tmpdir()}: set TMPDIR to a folder that is not mounted with noexec`
    throw Object.assign(new Error(message, { cause }), { expected: true })
  }
  return library.exports
}
