#!/usr/bin/env node
import { needsNode, runProcess } from './process.ts'

// What an older Node lacks (node:sqlite) fails while it is imported, so nothing is before this.
needsNode(24)
const { main } = await import('./cli/index.ts')
await runProcess(main)
