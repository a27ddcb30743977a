/*
 * An import, step by step. From its first step to its last `importing` stands in `state`: the name of the import and the run of the
 * server. While it does every other script is refused. An import that begins later puts its own there, and starts again from nothing.
 */

/** What all steps but the first begin with; ARGV[4] is the name. */
const held = `
local name, run = string.match(redis.call('HGET', S, 'importing') or '', '^(%S+) (%d+)$')
if name and name ~= ARGV[4] then return redis.error_reply('TAKEN another import has begun') end
if run ~= ARGV[2] then return redis.error_reply('GONE the server has changed') end`

/** Each runs after the prelude of `scripts.ts`, and alone is not refused while an import is under way. */
export const importBodies = {
  // Name, and how many writes there were when nothing was found. Answers whether an import did not come to its end before.
  importing: `
local before = redis.call('HEXISTS', S, 'importing')
if before == 0 and redis.call('HGET', S, 'n') ~= ARGV[5] then return redis.error_reply('USED something was written') end
redis.call('HSET', S, 'importing', ARGV[4] .. ' ' .. ARGV[2])
return { count(), before }`,
  // keys that an earlier import left
  clear: `${held}
for i = 5, #ARGV do redis.call('UNLINK', ARGV[i]) end
return { count() }`,
  // as put, with when it was consumed
  restore: `${held}
local n = count()
write(ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13] ~= '' and ARGV[13])
return { n }`,
  // group, until, its time on this server
  bury: `${held}
redis.call('SET', P .. 'r:' .. ARGV[5], ARGV[6])
if ARGV[7] ~= 'inf' then redis.call('PEXPIRE', P .. 'r:' .. ARGV[5], ARGV[7]) end
return { count() }`,
  imported: `${held}
local n = count()
redis.call('HDEL', S, 'importing')
return { n }`,
} as const
