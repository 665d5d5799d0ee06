#!/usr/bin/env -S MALLOC_MMAP_THRESHOLD_=2097152 MALLOC_TRIM_THRESHOLD_=33554432 node --max-semi-space-size=4 --heap-growing-percent=150 --concurrent-marking-max-worker-num=1
// The line above is the one place that has these settings and flags, see scripts/node-flags.ts. What moves through a
// server is garbage outside V8's heap, up to a GiB a second, and V8 has to search its heap to find it, which hardly
// changes meanwhile:
// - Short collections after 4 MiB of new objects: with the default of 16 MiB, a server that moves blobs makes so few
//   objects that the buffers start the collector, each time for the whole heap, and 90 MiB more stay in memory.
// - A collection of the whole heap when it is two and a half times as large as after the last one, by one thread: four
//   take the processors from those that have work. docs/decisions/010-v8-flags.md has the figures.
// glibc gives buffers of 2 MiB and more back to the system as soon as they are freed; blocks of 1 MiB, which each push
// and pull needs anew, it uses again. By itself it would raise that limit to 32 MiB and keep larger ones between small
// ones: docs/decisions/014-malloc.md.

// This file is JavaScript, as Node would begin each start by loading what takes the types off it, for 60 ms. The other
// files are kept compiled, without their types.

const halfSecond = 500
/** The same as `engines` in package.json */
const oldestNode = { major: 24, minor: 12 }

async function main() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < oldestNode.major || (major === oldestNode.major && minor < oldestNode.minor)) {
    process.stderr.write(
      `ipdr: needs Node.js ${oldestNode.major}.${oldestNode.minor} or newer; this is ${process.versions.node}\n`,
    )
    process.exitCode = 1
    return
  }
  // not at the top of the file: an older Node would fail on these before it could say that it is too old
  const { enableCompileCache } = await import('node:module')
  const { homedir } = await import('node:os')
  const { join } = await import('node:path')
  // Keeps compiled code for the next start. Not in the system's directory for temporary files, which is Node's default:
  // whoever puts files there before us would choose what runs.
  try {
    enableCompileCache(join(homedir(), '.cache/ipdr'))
  } catch {
    // a user without a home directory does without
  }
  const { leaveOutUnused } = await import('./lean-imports.ts')
  leaveOutUnused()
  const { run } = await import('./cli/program.ts')
  process.exitCode = await run(process.argv.slice(2))
  // everything has been told to close; whatever still keeps the process alive would do so for ever
  setTimeout(() => process.exit(), halfSecond).unref()
}

for (const stream of [process.stdout, process.stderr]) {
  // a reader such as `head` that stops reading is not a failure
  stream.on('error', (/** @type {NodeJS.ErrnoException} */ err) => {
    if (err.code !== 'EPIPE') {
      throw err
    }
  })
}

// no top-level await, which the CommonJS bundle of the executables can't have
void main()
