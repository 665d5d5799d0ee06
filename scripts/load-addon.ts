import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getAsset } from 'node:sea'

/** Loads a native library from inside a single-file executable. The system loads libraries from files only. */
export function loadAddon(asset: string): unknown {
  const bytes = Buffer.from(getAsset(asset))
  try {
    return process.platform === 'win32' ? openStored(bytes) : openDeleted(bytes)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : cause
    const message = `no library can be loaded from ${tmpdir()}, the folder for temporary files: ${reason}`
    const hint = 'Set TMPDIR (on Windows: TEMP) to a folder that can be written to and is not mounted with noexec.'
    throw Object.assign(new Error(message, { cause }), { expected: true, hint })
  }
}

function openDeleted(bytes: Uint8Array): unknown {
  const directory = mkdtempSync(join(tmpdir(), 'ipdr-library-'))
  try {
    const file = join(directory, 'library.node')
    writeFileSync(file, bytes)
    return open(file)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/**
 * Windows can't delete a library that is in use, so it stays for the next time, in a directory that no other user can
 * write to
 */
function openStored(bytes: Uint8Array): unknown {
  const file = join(tmpdir(), `ipdr-${createHash('sha256').update(bytes).digest('hex')}.node`)
  if (!existsSync(file)) {
    // it gets its name only once it is complete
    const temporary = `${file}.${process.pid}`
    writeFileSync(temporary, bytes)
    renameSync(temporary, file)
  }
  return open(file)
}

function open(file: string): unknown {
  const library = { exports: {} }
  process.dlopen(library, file)
  return library.exports
}
