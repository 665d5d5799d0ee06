/**
 * All that needs the image of the server: in one process, which builds it once. It takes longest of all files, so its
 * name has it begin early.
 */
import { after } from 'node:test'
import { endImageEngine } from '../../fixtures/image-engine.ts'
import './image/container.ts'
import './image/compose.ts'
import './image/readme.ts'

after(endImageEngine)
