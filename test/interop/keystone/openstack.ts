import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { World } from './world.ts'

/** A running `openstack token issue`. */
export interface Running {
  /** The first match in what it says, as soon as it says so. @throws where it ends before */
  said(pattern: RegExp): Promise<string>
  /** The token that it printed. @throws with what it said where it failed */
  token(): Promise<string>
}

export interface Command {
  /** An entry of the printed clouds.yaml. */
  readonly cloud: string
  /** The folder of the program; the newest from PyPI where absent. */
  readonly path?: string
  readonly words?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** `openstack token issue` for project web with the printed clouds.yaml, as a person has it on her workstation. */
export function tokenIssue(world: World, { cloud, path, words = [], env = {} }: Command): Running {
  const { kind, keystone, printed, ca } = world
  const child = spawn('openstack', ['--os-cloud', cloud, ...words, 'token', 'issue', '-f', 'value', '-c', 'id'], {
    env: {
      PATH: `${path ?? join(kind.venv, 'bin')}:/usr/bin:/bin`,
      HOME: keystone.folder,
      PYTHONUNBUFFERED: '1',
      PYTHONWARNINGS: 'ignore',
      OS_CLIENT_CONFIG_FILE: join(printed, 'cli/clouds.yaml'),
      OS_CLIENT_SECURE_FILE: join(printed, 'cli/secure.yaml'),
      OS_CACERT: ca,
      OS_PROJECT_NAME: 'web',
      OS_PROJECT_DOMAIN_NAME: 'corp',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 90_000,
  })
  let [out, all] = ['', '']
  const keep = (text: unknown) => {
    all += String(text)
  }
  child.stdout.on('data', (text) => {
    out += String(text)
    keep(text)
  })
  child.stderr.on('data', keep)
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)))
  let over = false
  void ended.then(() => {
    over = true
  })
  return {
    async said(pattern) {
      for (;;) {
        const found = pattern.exec(all)?.[1]
        if (found !== undefined) return found
        if (over) throw new Error(`openstack ended:\n${all.slice(-3000)}`)
        await delay(50)
      }
    },
    async token() {
      if ((await ended) !== 0) throw new Error(`openstack failed:\n${all.slice(-3000)}`)
      return out.trim().split('\n').at(-1) ?? ''
    },
  }
}
