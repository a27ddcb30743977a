import { createHash } from 'node:crypto'
import { importBodies } from './import-scripts.ts'

/*
 * What happens on the server, each as one step. All keys have one hash tag, so that they lie in one slot of a Cluster:
 *
 * state           hash: schema, root (a text only this root secret reads), n (writes so far), e (epoch), k (number of the current run),
 *                 importing (import-scripts.ts)
 * runs            list: `number run base mended`, one for each time another server, or one that was started anew, became the primary
 * e:KIND:ID       hash: v (value), x (end), c (consumed at), a (alias), g (groups), e (epoch, of kinds that lapse)
 * a:KIND:ALIAS    the ID that has this alias
 * g:GROUP         sorted set of KIND:ID, by their ends; k:KIND the same of ID
 * r:GROUP         until when the group is revoked
 *
 * IDs, aliases, groups and values are concealed (conceal.ts). Ends are Unix seconds of the gateway's clock and decide; the server's
 * own expiry comes a minute later and only tidies up, so that clocks may differ.
 */

/** Seconds that the server keeps an entry beyond its end, which the gateway's clock decides: the two may differ. */
const SLACK = 60
/** The server refuses times of more than 64 bits of milliseconds: what ends in thirty thousand years it keeps without end. */
const LONGEST = 1e12

/**
 * What scripts are told of an end: when it is, and for how many milliseconds the server keeps what has it.
 * @param end Unix seconds, or Infinity
 */
export function timesOf(end: number, now: number): readonly [end: string, kept: string] {
  const left = end - now + SLACK
  return [Number.isFinite(end) ? String(end) : 'inf', left < LONGEST ? String(Math.ceil(left * 1000)) : 'inf']
}

/** Bytes of values after which a script that reads many ends. */
const PORTION = 500_000

/** What every script begins with: KEYS[1] state, KEYS[2] a key that never is (session.ts); ARGV prefix, number of the run, now. */
const prelude = `
local S, P, now = KEYS[1], ARGV[1], tonumber(ARGV[3])
local s = redis.call('HMGET', S, 'k', 'e', 'importing')
-- This server has become the primary, or lost its data, since the gateway looked last: it has to look first.
if s[1] ~= ARGV[2] then return redis.error_reply('LOOK the primary has changed') end
local E = s[2]
local function count() return redis.call('HINCRBY', S, 'n', 1) end
local function entryKey(kind, id) return P .. 'e:' .. kind .. ':' .. id end
local function live(key)
  local r = redis.call('HMGET', key, 'v', 'x', 'c', 'e', 'a')
  if not r[1] or tonumber(r[2]) <= now or (r[4] and r[4] ~= E) then return nil end
  return r
end
local function entry(r) return { r[1], r[2], r[3] } end
local function forget(kind, id)
  local key = entryKey(kind, id)
  local l = redis.call('HMGET', key, 'a', 'g')
  if l[1] and redis.call('GET', P .. 'a:' .. kind .. ':' .. l[1]) == id then redis.call('DEL', P .. 'a:' .. kind .. ':' .. l[1]) end
  if l[2] then for g in string.gmatch(l[2], '%S+') do redis.call('ZREM', P .. 'g:' .. g, kind .. ':' .. id) end end
  redis.call('ZREM', P .. 'k:' .. kind, id)
  redis.call('DEL', key)
end
-- An index goes with the last of what it finds. What has ended is taken out a little at a time, once the server has forgotten it: a clock
-- that jumped must hide nothing from a revocation.
local function index(key, entries, member, x, ms)
  local left = redis.call('PTTL', key)
  redis.call('ZADD', key, x, member)
  if ms == 'inf' then redis.call('PERSIST', key)
  elseif left ~= -1 and left < tonumber(ms) then redis.call('PEXPIRE', key, ms) end
  for _, m in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now - ${SLACK}, 'LIMIT', 0, 20)) do
    if redis.call('EXISTS', entries .. m) == 0 then redis.call('ZREM', key, m) end
  end
end
local function links(kind, id, x, ms, alias, groups)
  if alias ~= '' then
    redis.call('SET', P .. 'a:' .. kind .. ':' .. alias, id)
    if ms ~= 'inf' then redis.call('PEXPIRE', P .. 'a:' .. kind .. ':' .. alias, ms) end
  end
  for g in string.gmatch(groups, '%S+') do index(P .. 'g:' .. g, P .. 'e:', kind .. ':' .. id, x, ms) end
  index(P .. 'k:' .. kind, P .. 'e:' .. kind .. ':', id, x, ms)
end
local function revoked(groups)
  for g in string.gmatch(groups, '%S+') do
    local till = redis.call('GET', P .. 'r:' .. g)
    if till and tonumber(till) > now then return true end
  end
  return false
end
-- kind, id, value, end, its time on this server, whether it lapses, alias, groups
local function write(kind, id, v, x, ms, lapses, alias, groups, consumed)
  local key = entryKey(kind, id)
  forget(kind, id)
  redis.call('HSET', key, 'v', v, 'x', x)
  if consumed then redis.call('HSET', key, 'c', consumed) end
  if lapses == '1' then redis.call('HSET', key, 'e', E) end
  if alias ~= '' then redis.call('HSET', key, 'a', alias) end
  if groups ~= '' then redis.call('HSET', key, 'g', groups) end
  if ms ~= 'inf' then redis.call('PEXPIRE', key, ms) end
  links(kind, id, x, ms, alias, groups)
end
`

/** While an import is under way, or did not come to its end, nothing else reads or writes. */
const unlessImported = `
if s[3] then return redis.error_reply('IMPORT unfinished') end
`

/** Those that write answer with the number of the write first. */
const bodies = {
  get: `
local r = live(entryKey(ARGV[4], ARGV[5]))
return r and entry(r)`,
  find: `
local id = redis.call('GET', P .. 'a:' .. ARGV[4] .. ':' .. ARGV[5])
local r = id and live(entryKey(ARGV[4], id))
if not r or r[5] ~= ARGV[5] then return false end
return { r[1], r[2], r[3], id }`,
  put: `
if revoked(ARGV[11]) then return { 0, 0 } end
local n, r = count(), live(entryKey(ARGV[4], ARGV[5]))
write(ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], r and r[3])
return { n, 1 }`,
  add: `
if revoked(ARGV[11]) or live(entryKey(ARGV[4], ARGV[5])) then return { 0, 0 } end
local n = count()
write(ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11])
return { n, 1 }`,
  // keeps links and use; ARGV[10] is what the value has to be
  replace: `
local key = entryKey(ARGV[4], ARGV[5])
local r = live(key)
if not r or r[1] ~= ARGV[10] then return { 0, 0 } end
local n = count()
redis.call('HSET', key, 'v', ARGV[6], 'x', ARGV[7])
if ARGV[8] == 'inf' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ARGV[8]) end
-- Another entry may have taken the alias since.
local a = r[5]
if a and redis.call('GET', P .. 'a:' .. ARGV[4] .. ':' .. a) ~= ARGV[5] then a = nil end
links(ARGV[4], ARGV[5], ARGV[7], ARGV[8], a or '', redis.call('HGET', key, 'g') or '')
return { n, 1 }`,
  take: `
local r = live(entryKey(ARGV[4], ARGV[5]))
if not r then return { 0, false } end
local n = count()
forget(ARGV[4], ARGV[5])
return { n, entry(r) }`,
  consume: `
local key = entryKey(ARGV[4], ARGV[5])
local r = live(key)
if not r then return { 0, false } end
if r[3] then return { 0, r[3] } end
local n = count()
redis.call('HSET', key, 'c', ARGV[3])
return { n, 'first' }`,
  delete: `
local n = count()
forget(ARGV[4], ARGV[5])
return { n }`,
  members: `
local found = {}
for _, m in ipairs(redis.call('ZRANGEBYSCORE', P .. 'g:' .. ARGV[4], '(' .. ARGV[3], '+inf')) do
  if live(P .. 'e:' .. m) then found[#found + 1] = m end
end
return found`,
  ids: `return redis.call('ZRANGEBYSCORE', P .. 'k:' .. ARGV[4], '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[5])`,
  /**
   * Entries of one kind by their ids, with what `lotse store export` needs beside them: alias and groups. Answers with how many of the ids
   * were looked at, too: an answer of many large values would take longer than a server may be silent.
   */
  many: `
local found, size, i = {}, 0, 5
while i <= #ARGV and size < ${PORTION} do
  local key = entryKey(ARGV[4], ARGV[i])
  local r = live(key)
  if r then
    -- Another entry may have taken the alias since.
    local a = r[5]
    if a and redis.call('GET', P .. 'a:' .. ARGV[4] .. ':' .. a) ~= ARGV[i] then a = false end
    found[#found + 1] = { ARGV[i], r[1], r[2], r[3], a, redis.call('HGET', key, 'g') }
    size = size + #r[1]
  end
  i = i + 1
end
return { i - 5, found }`,
  // group, until, its time on this server, how many members at once
  revoke: `
local n, r = count(), P .. 'r:' .. ARGV[4]
local till = redis.call('GET', r)
if not till or tonumber(till) < tonumber(ARGV[5]) then
  redis.call('SET', r, ARGV[5])
  if ARGV[6] ~= 'inf' then redis.call('PEXPIRE', r, ARGV[6]) end
end
local members = redis.call('ZRANGE', P .. 'g:' .. ARGV[4], 0, ARGV[7] - 1)
for _, m in ipairs(members) do
  local kind, id = string.match(m, '^(.-):(.*)$')
  -- Its id may have been used again since, without this group.
  local groups = redis.call('HGET', entryKey(kind, id), 'g')
  if groups and string.find(' ' .. groups .. ' ', ' ' .. ARGV[4] .. ' ', 1, true) then forget(kind, id) end
  redis.call('ZREM', P .. 'g:' .. ARGV[4], m)
end
return { n, #members }`,
  check: `return { count() }`,
} as const

/**
 * Each step leads from the version of its index plus one to the next, in Lua, with the prefix of all keys in `P`; one that was released is
 * never changed. It runs as one step of the server, so it has to be short: what would take long is done when an entry is read or written.
 */
const steps: readonly string[] = []

/** The version of what is written here. */
export const SCHEMA = steps.length + 1

/**
 * What a gateway asks before it uses a server, and once a second: KEYS state, runs; ARGV the server's run, what it knows (number of
 * the run, the last write that was acknowledged to it, epoch), root, schema, whether it imports, and the server's run of the one that it
 * knows: after a loss another one may have its number. Answers with the number of the run, the epoch, and whether acknowledged writes
 * are missing: epoch.ts says how that is known.
 * @param to the steps up to the version that is looked for
 */
export const lookText = (to: readonly string[]): string => `
local S, R = KEYS[1], KEYS[2]
local run, k, acked, epoch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local s = redis.call('HMGET', S, 'schema', 'root', 'n', 'e', 'k')
if s[1] and tonumber(s[1]) > tonumber(ARGV[6]) then return redis.error_reply('SCHEMA ' .. s[1]) end
if s[2] and s[2] ~= ARGV[5] then return redis.error_reply('ROOT another root secret') end
if ARGV[7] ~= '1' and redis.call('HEXISTS', S, 'importing') == 1 then return redis.error_reply('IMPORT unfinished') end
-- After a step nobody of an older version goes on without having looked, and been refused.
local P, v = string.sub(S, 1, -6), tonumber(s[1] or ARGV[6])
local migrated = v < tonumber(ARGV[6])
${to.map((step, index) => `if v == ${index + 1} then ${step} v = ${index + 2} end`).join(' ')}
local n, e, now = tonumber(s[3] or 0), tonumber(s[4] or 1), tonumber(s[5] or 0)
local missing, mended, own = false, false, k == 0
for _, text in ipairs(redis.call('LRANGE', R, 0, -1)) do
  local number, name, base, flag = string.match(text, '^(%d+) (%S+) (%d+) (%d)$')
  if tonumber(number) == k and name == ARGV[8] then own = true end
  if tonumber(number) > k and tonumber(base) < acked then missing = true end
  if tonumber(number) > k and flag == '1' then mended = true end
end
if k > 0 and (not own or k > now or (k == now and n < acked)) then missing = true end
-- Whoever ended the epoch since has ended it for all that was written before.
if mended then missing = false end
local last = redis.call('LINDEX', R, -1)
if migrated or missing or not last or not s[5] or string.match(last, '^%d+ (%S+)') ~= run then
  now = math.max(now, k) + 1
  if missing then e = math.max(e, epoch) + 1 end
  redis.call('HSET', S, 'schema', ARGV[6], 'root', ARGV[5], 'n', n, 'e', e, 'k', now)
  redis.call('RPUSH', R, now .. ' ' .. run .. ' ' .. n .. ' ' .. (missing and 1 or 0))
  redis.call('LTRIM', R, -500, -1)
end
return { now, e, missing and 1 or 0 }`

type Named = keyof typeof bodies | keyof typeof importBodies

export type ScriptName = Named | 'look'

export interface Script {
  readonly text: string
  /** By which the server knows it. */
  readonly sha: string
}

const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') })

const made = [
  ...Object.entries(bodies).map(([name, body]) => [name, script(prelude + unlessImported + body)]),
  ...Object.entries(importBodies).map(([name, body]) => [name, script(prelude + body)]),
]

export const scripts: Readonly<Record<ScriptName, Script>> = {
  ...(Object.fromEntries(made) as Record<Named, Script>),
  look: script(lookText(steps)),
}
