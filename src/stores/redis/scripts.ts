/** A Lua script: it runs alone on the server, and all of it or nothing, as long as its types are right. */
export interface Script {
  readonly name: string;
  readonly source: string;
}

/**
 * A record is one list element: a line of JSON `[written, expires, born, data key, head, wrapped]`, then the body's
 * bytes. Shared by the scripts below. A damaged element has no times: it must not keep others from being purged or
 * listed.
 */
const TIMES = `
local function times(record)
  local valid, line = pcall(cjson.decode, string.sub(record, 1, (string.find(record, '\\n', 1, true) or 1) - 1))
  if not valid or type(line) ~= 'table' then return nil, nil, nil end
  local function number(value) return type(value) == 'number' and value or nil end
  return number(line[1]), number(line[2]), number(line[3]) or number(line[1])
end
`;

const PUSH = `
local function push(key, records, first)
  for at = first, #records, 1000 do
    redis.call('RPUSH', key, unpack(records, at, math.min(at + 999, #records)))
  end
end
`;

/** Live data keys begin with `{`, tombstones with `!`. The first destroyed one among `dids`, from `first` to `last`. */
const DESTROYED = `
local function destroyed(key, dids, first, last)
  for at = first, last do
    local found = redis.call('HGET', key, dids[at])
    if found and string.sub(found, 1, 1) == '!' then return dids[at] end
  end
end
`;

/**
 * Generation and length: within a generation a list only grows. So they are also what a change is compared with that
 * was decided on something read before.
 */
const VERSION_OF = `
local function version(items, meta)
  return (redis.call('HGET', meta, 'generation') or '0') .. ':' .. redis.call('LLEN', items)
end
`;

/** Another owner begins a generation, so that whoever trusted the one before says again whose session it is. */
const DESCRIBE = `
local function describe(meta, generation, id, subject)
  redis.call('HSETNX', meta, 'generation', generation)
  redis.call('HSET', meta, 'id', id)
  if not subject or subject == '' then return end
  local before = redis.call('HGET', meta, 'subject')
  if before == subject then return end
  redis.call('HSET', meta, 'subject', subject)
  if before then redis.call('HINCRBY', meta, 'generation', 1) end
end
`;

/**
 * KEYS items, meta, deks. ARGV generation of a new session, id, subject ('': unknown), number of data keys, their ids,
 * records. The generation.
 */
export const APPEND: Script = {
  name: 'append',
  source: `${PUSH}${DESTROYED}${DESCRIBE}
local last = 4 + tonumber(ARGV[4])
local gone = destroyed(KEYS[3], ARGV, 5, last)
if gone then return { 'shredded', gone } end
describe(KEYS[2], ARGV[1], ARGV[2], ARGV[3])
push(KEYS[1], ARGV, last + 1)
return { 'ok', redis.call('HGET', KEYS[2], 'generation') }
`,
};

/**
 * The same for a session of which everything but the records is written already. KEYS items, meta, deks. ARGV generation
 * in which that was so, number of data keys, their ids, records. Answers `stale` in another generation.
 */
export const EXTEND: Script = {
  name: 'extend',
  source: `${PUSH}${DESTROYED}
if redis.call('HGET', KEYS[2], 'generation') ~= ARGV[1] then return { 'stale', '' } end
local last = 2 + tonumber(ARGV[2])
local gone = destroyed(KEYS[3], ARGV, 3, last)
if gone then return { 'shredded', gone } end
push(KEYS[1], ARGV, last + 1)
return { 'ok', '' }
`,
};

/** KEYS items, meta, ops. ARGV from, count (-1: all), operation ('': none). Version, digest, length, records. */
export const LOOK: Script = {
  name: 'look',
  source: `${VERSION_OF}
local digest = ''
if ARGV[3] ~= '' then
  local logged = redis.call('HGET', KEYS[3], ARGV[3])
  if logged then digest = string.match(logged, ' (.*)$') end
end
local count = tonumber(ARGV[2])
local records = {}
if count < 0 then records = redis.call('LRANGE', KEYS[1], 0, -1)
elseif count > 0 and ARGV[1] == 'start' then records = redis.call('LRANGE', KEYS[1], 0, count - 1)
elseif count > 0 then records = redis.call('LRANGE', KEYS[1], -count, -1) end
return { version(KEYS[1], KEYS[2]), digest, redis.call('LLEN', KEYS[1]), records }
`,
};

/**
 * KEYS items, meta, ops, deks, turn and, with an archive, its items and meta. ARGV options as JSON, then \`inserted\`
 * records, then those for the archive. Answers \`stale\` when the session changed since it was looked at, \`lost\` when
 * somebody else than \`owner\` has the turn, or nobody.
 */
export const CHANGE: Script = {
  name: 'change',
  source: `${PUSH}${DESTROYED}${DESCRIBE}${VERSION_OF}
local options = cjson.decode(ARGV[1])
if options.owner and redis.call('GET', KEYS[5]) ~= options.owner then return { 'lost', '' } end
if version(KEYS[1], KEYS[2]) ~= options.version then return { 'stale', '' } end
local gone = destroyed(KEYS[4], options.dids, 1, #options.dids)
if gone then return { 'shredded', gone } end
local inserted, archived = {}, {}
for at = 2, 1 + options.inserted do inserted[#inserted + 1] = ARGV[at] end
for at = 2 + options.inserted, #ARGV do archived[#archived + 1] = ARGV[at] end
local created = redis.call('LLEN', KEYS[1]) == 0 and #inserted > 0
if options.remove == 'all' then
  redis.call('DEL', KEYS[1])
  push(KEYS[1], inserted, 1)
elseif options.remove == 'none' then
  push(KEYS[1], inserted, 1)
else
  local length = redis.call('LLEN', KEYS[1])
  local head, tail = options.index, length - options.index - options.count
  if tail <= head then
    local after = tail > 0 and redis.call('LRANGE', KEYS[1], -tail, -1) or {}
    if head == 0 then redis.call('DEL', KEYS[1]) else redis.call('LTRIM', KEYS[1], 0, head - 1) end
    push(KEYS[1], inserted, 1)
    push(KEYS[1], after, 1)
  else
    local before = head > 0 and redis.call('LRANGE', KEYS[1], 0, head - 1) or {}
    redis.call('LTRIM', KEYS[1], head + options.count, -1)
    for at = #inserted, 1, -1 do redis.call('LPUSH', KEYS[1], inserted[at]) end
    for at = #before, 1, -1 do redis.call('LPUSH', KEYS[1], before[at]) end
  end
end
describe(KEYS[2], options.generation, options.id, options.subject)
-- Nothing appended, something logged: that too must be seen by those who looked before.
if options.remove ~= 'none' or #inserted == 0 then redis.call('HINCRBY', KEYS[2], 'generation', 1) end
if options.forget then redis.call('DEL', KEYS[3]) end
if options.operation then
  local position = redis.call('HINCRBY', KEYS[2], 'position', 1)
  redis.call('HSET', KEYS[3], options.operation, position .. ' ' .. options.digest)
  if redis.call('HLEN', KEYS[3]) > options.log then
    local logged = redis.call('HGETALL', KEYS[3])
    for at = 1, #logged, 2 do
      if tonumber(string.match(logged[at + 1], '^%d+')) <= position - options.log then
        redis.call('HDEL', KEYS[3], logged[at])
      end
    end
  end
end
if #archived > 0 then
  describe(KEYS[7], options.generation, options.archive)
  push(KEYS[6], archived, 1)
end
return { created and 'created' or 'ok', '' }
`,
};

/** KEYS items, meta, ops, deks, holds, turn. ARGV now, version ('': any). A tombstone for each live data key. */
export const DROP: Script = {
  name: 'drop',
  source: `${VERSION_OF}
if ARGV[2] ~= '' and version(KEYS[1], KEYS[2]) ~= ARGV[2] then return { 'stale', '' } end
local hold = redis.call('HKEYS', KEYS[5])[1]
if hold then return { 'held', hold } end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[6])
local deks = redis.call('HGETALL', KEYS[4])
for at = 1, #deks, 2 do
  if string.sub(deks[at + 1], 1, 1) == '{' then redis.call('HSET', KEYS[4], deks[at], '!' .. ARGV[1]) end
end
return { 'ok', '' }
`,
};

/**
 * KEYS items, meta, ops, holds. ARGV now, written before ('': no policy), most. How many went, whether expired ones
 * are left, version, earliest expiry and birth of the rest ('' when there is none), how many are left.
 */
export const PURGE: Script = {
  name: 'purge',
  source: `${TIMES}${PUSH}${VERSION_OF}
if redis.call('HLEN', KEYS[4]) > 0 then return { 0, 0, '', '', '', -1 } end
local now, before, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local records = redis.call('LRANGE', KEYS[1], 0, -1)
local kept, gone, more = {}, 0, 0
local earliest, oldest
for _, record in ipairs(records) do
  local _, expires, born = times(record)
  local expired = (expires and expires <= now) or (before and born and born <= before)
  if expired and gone < most then
    gone = gone + 1
  else
    if expired then more = 1 end
    if expires and (not earliest or expires < earliest) then earliest = expires end
    if born and (not oldest or born < oldest) then oldest = born end
    kept[#kept + 1] = record
  end
end
if gone > 0 then
  redis.call('DEL', KEYS[1])
  push(KEYS[1], kept, 1)
  if #kept == 0 then redis.call('DEL', KEYS[2], KEYS[3]) else redis.call('HINCRBY', KEYS[2], 'generation', 1) end
end
local function text(value) return value and string.format('%.0f', value) or '' end
return { gone, more, version(KEYS[1], KEYS[2]), text(earliest), text(oldest), #kept }
`,
};

/** KEYS items, meta. Generation and length with a colon between them. */
export const VERSION: Script = {
  name: 'version',
  source: `${VERSION_OF} return version(KEYS[1], KEYS[2])`,
};

/** KEYS items, meta. ARGV subject ('': any). Items, bytes, first, last, subject; nothing when it is of another subject. */
export const STATS: Script = {
  name: 'stats',
  source: `${TIMES}
if ARGV[1] ~= '' and redis.call('HGET', KEYS[2], 'subject') ~= ARGV[1] then return { 0, 0, '', '', '' } end
local records = redis.call('LRANGE', KEYS[1], 0, -1)
local bytes, first, last = 0, nil, nil
for _, record in ipairs(records) do
  bytes = bytes + #record
  local written = times(record)
  if written and (not first or written < first) then first = written end
  if written and (not last or written > last) then last = written end
end
local function text(value) return value and string.format('%.0f', value) or '' end
return { #records, bytes, text(first), text(last), redis.call('HGET', KEYS[2], 'subject') or '' }
`,
};

/** KEYS deks. ARGV did, expected, next (all JSON of a record). */
export const REWRAP: Script = {
  name: 'rewrap',
  source: `
local found = redis.call('HGET', KEYS[1], ARGV[1])
if not found or string.sub(found, 1, 1) ~= '{' then return 0 end
local record = cjson.decode(found)
if record.wrapped ~= ARGV[2] then return 0 end
record.wrapped = ARGV[3]
record.kid = ARGV[4]
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(record))
return 1
`,
};

/** KEYS deks, holds. ARGV now, did ('': all). Ids and times of destruction, or the hold. */
export const DESTROY: Script = {
  name: 'destroy',
  source: `
local hold = redis.call('HKEYS', KEYS[2])[1]
if hold then return { 'held', hold } end
local answer = { 'ok' }
local deks = redis.call('HGETALL', KEYS[1])
for at = 1, #deks, 2 do
  if ARGV[2] == '' or ARGV[2] == deks[at] then
    if string.sub(deks[at + 1], 1, 1) == '{' then
      redis.call('HSET', KEYS[1], deks[at], '!' .. ARGV[1])
      deks[at + 1] = '!' .. ARGV[1]
    end
    answer[#answer + 1] = deks[at]
    answer[#answer + 1] = string.sub(deks[at + 1], 2)
  end
end
return answer
`,
};

/** KEYS a sorted set. ARGV member, score it must have, new score ('': remove). */
export const RESCORE: Script = {
  name: 'rescore',
  source: `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1]) else redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
return 1
`,
};

/** KEYS a hash. Its fields and values in turn, whatever the protocol makes of a map. */
export const FIELDS: Script = { name: 'fields', source: `return redis.call('HGETALL', KEYS[1])` };

/** KEYS lease. ARGV owner, milliseconds. 1, or 0 while another owner has it. */
export const ACQUIRE: Script = {
  name: 'acquire',
  source: `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`,
};

/** KEYS lease. ARGV owner, milliseconds (0: release). */
export const RENEW: Script = {
  name: 'renew',
  source: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`,
};
