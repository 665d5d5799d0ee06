import { nativeBinary } from '../native.ts'
import { startProcess } from './process.ts'
import type { Find, Launcher, TargetName } from './target.ts'

const about = {
  limit:
    'reference: receive, sha256 of the whole and of each MiB, write, fdatasync, sync of the directory; read and send by sendfile',
  null: 'reference: drops what comes, sends from memory: the most that the client can do beside a server',
}

export const findLimit: Find = async () => reference('limit')

export const findNull: Find = async () => reference('null')

function reference(name: TargetName & keyof typeof about): Launcher {
  return {
    name,
    about: about[name],
    reference: true,
    start: async dataDir =>
      await startProcess({
        name,
        dataDir,
        command: nativeBinary,
        args: port => ['serve', '-kind', name, '-dir', dataDir, '-address', `127.0.0.1:${port}`],
        ready: '/v2/',
      }),
  }
}
