import { runLine } from './cli/run.ts'
import { version, workstation } from './cli/workstation.ts'
import { runProcess } from './process.ts'

/* What `npm run build:cli` makes a single executable of: the commands for a person's own machine, and nothing of the gateway. */
void runProcess((words, io) => runLine([...workstation, version], words, io))
