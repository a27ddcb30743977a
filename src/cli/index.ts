import type { Io } from './command.ts'
import { type Entry, runLine } from './run.ts'
import { version, workstation } from './workstation.ts'

/** Every command that there is. */
export const commands: readonly Entry[] = [
  { name: 'serve', summary: 'run the gateway', load: () => import('./serve.ts') },
  {
    name: 'print',
    summary: 'print what the operator of an upstream or target needs',
    load: () => import('./print.ts'),
  },
  { name: 'check', summary: 'say all that is wrong with the configuration', load: () => import('./check.ts') },
  { name: 'explain', summary: 'say what the rules give to somebody, and why', load: () => import('./explain.ts') },
  ...workstation,
  { name: 'sessions', summary: 'list who is signed in, and what each holds', load: () => import('./sessions.ts') },
  {
    name: 'processes',
    summary: 'list the processes that serve, and what each runs on',
    load: () => import('./processes.ts'),
  },
  { name: 'revoke', summary: 'end what people and clients hold', load: () => import('./revoke.ts') },
  {
    name: 'reconcile',
    summary: 'make targets equal to what the rules say',
    load: () => import('./reconcile.ts'),
  },
  {
    name: 'subjects',
    summary: "take over a Keystone's users from another gateway",
    load: () => import('./subjects.ts'),
  },
  { name: 'keys', summary: 'list, rotate and import signing keys', load: () => import('./keys.ts') },
  { name: 'store', summary: 'copy the store, or move it to another one', load: () => import('./store.ts') },
  { name: 'demo', summary: 'try everything on this machine', load: () => import('./demo.ts') },
  version,
]

/** @returns the exit code; nothing is thrown */
export const main = (words: readonly string[], io: Io): Promise<number> => runLine(commands, words, io)
