#!/usr/bin/env -S node --max-semi-space-size=4
// With V8's own limit of 16 MiB a server that moves blobs leaves so few objects that it is the buffers outside the heap that
// start the collector: each time a full collection, and 90 MiB more in memory
import { run } from './cli/program.ts'

const second = 1000

for (const stream of [process.stdout, process.stderr]) {
  // a reader such as `head` that has seen enough is no failure
  stream.on('error', (err: NodeJS.ErrnoException) => {
    if (err.code !== 'EPIPE') {
      throw err
    }
  })
}

process.exitCode = await run(process.argv.slice(2))
// everything was told to close; whatever keeps the process alive now would keep it for ever
setTimeout(() => process.exit(), 2 * second).unref()
