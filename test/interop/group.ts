import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A group of interop tests: `test/interop/NAME.ts` exports these two. */
export interface Group {
  /** Installs what the group needs and the machine lacks. @throws where that cannot be done here */
  install(): Promise<void>
  /**
   * Runs the group.
   * @param budget seconds it may take: counts are cut to fit; Infinity for all of them
   */
  run(budget: number): Promise<{ readonly passed: number; readonly failed: number }>
}

const call = promisify(execFile)

async function have(program: string): Promise<boolean> {
  return call('sh', ['-c', 'command -v "$0" || test -e "$0"', program]).then(
    () => true,
    () => false,
  )
}

/**
 * Installs Debian packages where a program or file of theirs is missing.
 * @param needed program, or path of a file → package: `{ chromium: 'chromium' }`
 * @throws where a package is missing and this user may not install it
 */
export async function installPackages(needed: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = []
  for (const [program, name] of Object.entries(needed)) if (!(await have(program))) missing.push(name)
  if (missing.length === 0) return
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '--non-interactive']
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive']
  const apt = async (...words: readonly string[]) => {
    // Several groups may be installing at once, and apt does not wait for itself.
    const [program = '', ...rest] = [
      'flock',
      join(tmpdir(), 'lotse-apt.lock'),
      ...sudo,
      ...env,
      'apt-get',
      '-qq',
      ...words,
    ]
    await call(program, rest, { maxBuffer: 64 * 1024 * 1024 })
  }
  await apt('update')
  await apt('install', '--yes', '--no-install-recommends', ...missing)
}
