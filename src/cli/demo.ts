import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createLog } from '../log.ts'
import { type Args, type Command, exit, type Io } from './command.ts'

/** `lotse demo` */
export const command: Command = {
  usage: '[--check] [--config FILE]',
  details: `
Starts a whole federation on this machine: the gateway, two organisations with people to click, and a web client
whose start page explains who becomes what where. Everything is kept in a temporary folder and deleted at the end.
Ctrl-C ends it. With --check it signs everybody in by itself, prints what each gets, and says by its exit code
whether all of it was as it should be.
`,
  options: {
    check: { help: 'walk through everything without a browser, then end' },
    config: { value: 'FILE', short: 'c', help: 'a changed copy of config/demo.yaml' },
  },
  async run(args, io) {
    const { DemoRefused, startDemo } = await import('../demo/world.ts')
    const log = createLog('error', (line) => io.err(line.trimEnd()))
    try {
      io.out('Starting the demo …')
      const demo = await startDemo({ config: configFile(args, io), env: io.env, now: io.now, log, say: io.out })
      try {
        return await (args.flag('check') ? check(demo.world, io) : stay(demo.world, io))
      } finally {
        await demo.close()
      }
    } catch (error) {
      if (!(error instanceof DemoRefused)) throw error
      for (const line of error.message.split('\n')) io.err(line)
      return exit.refused
    }
  },
}

type World = Awaited<ReturnType<typeof import('../demo/world.ts').startDemo>>['world']

/** The file that comes with this build, wherever the command is called. */
function configFile(args: Args, io: Io): string {
  const given = args.text('config')
  return given === undefined
    ? fileURLToPath(new URL('../../config/demo.yaml', import.meta.url))
    : resolve(io.cwd, given)
}

async function check(world: World, io: Io): Promise<number> {
  const { checkDemo } = await import('../demo/check.ts')
  const { passed, failed } = await checkDemo(world, io.out)
  io.out(`${passed} passed, ${failed} failed`)
  return failed === 0 ? exit.ok : exit.refused
}

async function stay(world: World, io: Io): Promise<number> {
  io.out('')
  io.out(`Open ${world.web} in a browser. Ctrl-C ends the demo.`)
  if (!io.stop.aborted) {
    await new Promise<void>((done) => io.stop.addEventListener('abort', () => done(), { once: true }))
  }
  io.out('The demo has ended; nothing of it is left.')
  return exit.ok
}
