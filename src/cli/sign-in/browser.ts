import { spawn } from 'node:child_process'
import { platform } from 'node:os'

type Environment = Readonly<Record<string, string | undefined>>

/** The program that opens an address in the person's browser; undefined where there is no display for one. */
function programFor(env: Environment): readonly [program: string, ...args: string[]] | undefined {
  if (env['BROWSER']) return [env['BROWSER']]
  // Over ssh a browser would open at the wrong desk.
  if (env['SSH_CONNECTION'] || env['SSH_TTY']) return undefined
  if (platform() === 'darwin') return ['open']
  if (platform() === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler']
  return env['DISPLAY'] || env['WAYLAND_DISPLAY'] ? ['xdg-open'] : undefined
}

/**
 * How the person's browser is opened; undefined where she has none here. Where the program fails nothing happens: the address was
 * said, too.
 */
export function browserOpener(env: Environment): ((address: string) => void) | undefined {
  const program = programFor(env)
  if (program === undefined) return undefined
  const [command, ...args] = program
  return (address) => {
    const child = spawn(command, [...args, address], { stdio: 'ignore', detached: true })
    child.on('error', () => {})
    child.unref()
  }
}
