import type { Check } from '../../core/ports.ts'
import type { Connection } from './connection.ts'
import type { Topology } from './locate.ts'

export interface Expected {
  readonly topology: Topology
  readonly replicas: number
  /** Unix seconds. */
  readonly now: number
}

const parameters = ['appendfsync', 'save', 'min-replicas-to-write', 'min-replicas-max-lag'] as const
type Parameter = (typeof parameters)[number]

/** What a server says of itself. */
interface Said extends Expected {
  /** A field of INFO; empty where it has none. */
  readonly info: (name: string) => string
  /** Undefined where this user may not read the configuration, or the server does not show this one. */
  readonly config: (name: Parameter) => string | undefined
  /** Unix seconds by its clock. */
  readonly time: number
}

const good = (check: string, found: string): Check => ({ check, ok: true, found })
const bad = (check: string, found: string): Check => ({ check, ok: false, found })
const note = (check: string, found: string): Check => ({ check, ok: true, found, note: true })

/**
 * Seconds by which clocks may differ; those of two gateways by twice as much. Processes are heard of every five seconds for twenty
 * (fleet.ts), and parallel refreshes are told from theft by ten (oidc-adapter.ts).
 */
const CLOCK = { noted: 4, bad: 14 }
const OLDEST = 7

/** Everything that is looked at, in the order in which it is told. */
const questions: readonly ((said: Said) => Check)[] = [version, eviction, persistence, replication, cutOff, clock]

/**
 * Asks a primary for all that strengthens or weakens what the store promises: `bad` is a promise broken, `note` one that is weaker than
 * it could be.
 */
export async function inspect(call: Connection['call'], expected: Expected): Promise<readonly Check[]> {
  const [info, config, time] = await Promise.all([
    call('INFO'),
    call('CONFIG', 'GET', ...parameters).catch(() => []), // who may not is told so
    call('TIME'),
  ])
  const fields = new Map(
    String(info)
      .split(/\r?\n/)
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
  const list = config as readonly string[] // name and value in turn; those alone that the server has and shows
  const values = new Map(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1] ?? '']] : [])))
  const said: Said = {
    ...expected,
    info: (name) => fields.get(name) ?? '',
    config: (name) => values.get(name),
    time: Number((time as readonly string[])[0]),
  }
  return questions.map((question) => question(said))
}

/** Why a server must not be used at all; undefined where it may. */
export function refusal(checks: readonly Check[]): string | undefined {
  return checks.find(({ check, ok }) => !ok && (check === 'eviction' || check === 'version'))?.found
}

function version({ info }: Said): Check {
  const valkey = info('valkey_version')
  const text = valkey ? `Valkey ${valkey}` : `Redis ${info('redis_version')}`
  return Number.parseInt(info('redis_version'), 10) >= OLDEST
    ? good('version', text)
    : bad('version', `${text}: the gateway needs Redis ${OLDEST} or Valkey`)
}

function eviction({ info }: Said): Check {
  const policy = info('maxmemory_policy')
  if (policy.startsWith('allkeys-'))
    return bad(
      'eviction',
      `${policy}: a full server would forget what was used and revoked; set maxmemory-policy noeviction`,
    )
  if (policy !== 'noeviction')
    return note(
      'eviction',
      `${policy}: a full server forgets sessions, which assertions it has seen, and what a revocation has to find; set maxmemory-policy noeviction`,
    )
  return good('eviction', info('maxmemory') === '0' ? `${policy}, and no maxmemory` : policy)
}

function persistence({ info, config, topology }: Said): Check {
  if (info('aof_enabled') === '1' && info('aof_last_write_status') !== 'ok')
    return bad('persistence', 'the last write to its file failed: is the disk full?')
  const file = config('appendfsync')
  if (info('aof_enabled') === '1' && file === 'no')
    return note('persistence', 'a file of all writes that is never flushed: half a minute may be lost; set appendfsync')
  if (info('aof_enabled') === '1')
    return good('persistence', file ? `a file of all writes, flushed ${file}` : 'a file of all writes')
  const others = topology === 'standalone' ? '' : ' (an empty primary that comes back empties its replicas)'
  const snapshots = config('save') === '' ? 'nothing is written to disk' : 'snapshots alone'
  return note(
    'persistence',
    `${snapshots}: after a restart everybody has to sign in again${others}; set appendonly yes`,
  )
}

function replication({ info, replicas, topology }: Said): Check {
  const connected = Number(info('connected_slaves'))
  const of = `${connected} connected, ${replicas} waited for`
  if (connected < replicas) return bad('replicas', `${of}: every write is refused`)
  if (replicas === 0)
    return topology === 'standalone' && connected === 0
      ? good('replicas', 'none')
      : note(
          'replicas',
          `${of}: a failover may lose writes, and then everybody has to sign in again; set store.replicas`,
        )
  return connected === replicas
    ? note('replicas', `${of}: when one server is away every write is refused; add another`)
    : good('replicas', of)
}

function cutOff({ config, replicas, topology }: Said): Check {
  const least = config('min-replicas-to-write')
  if (topology === 'standalone' && replicas === 0) return good('cut off', 'one server alone cannot be')
  if (least === undefined)
    return note('cut off', 'this user may not read the configuration: see that min-replicas-to-write is 1 or more')
  // "Setting one or the other to 0 disables the feature" (redis.conf).
  return Number(least) >= 1 && config('min-replicas-max-lag') !== '0'
    ? good('cut off', `a primary without ${least} of its replicas takes no writes`)
    : note(
        'cut off',
        'a primary without its replicas goes on taking writes of others; set min-replicas-to-write 1 and min-replicas-max-lag 10',
      )
}

function clock({ time, now }: Said): Check {
  const apart = Math.abs(time - now)
  const text = `${apart} s apart from this machine`
  if (apart > CLOCK.bad)
    return bad(
      'clock',
      `${text}: other processes are taken for dead, and parallel refreshes for theft; set both by NTP`,
    )
  return apart > CLOCK.noted ? note('clock', `${text}; set both by NTP`) : good('clock', text)
}
