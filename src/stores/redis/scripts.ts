import { NOTES_END } from './notes-end.ts';
import { MOST_PARTS } from '../shared-parts.ts';
import { NEEDED, PARTS, SHARED } from './shared-scripts.ts';

/** A Lua script: it runs atomically on the server, as long as its types are right. */
export interface Script {
  readonly name: string;
  readonly source: string;
}

/**
 * A session's history is one list, and the list has a name, which `meta` states. It is renamed when a condition
 * ends on which pushes without a check rely (see `Indexed`): the old name is never used again, and `RPUSHX` to it
 * does nothing. The answer for a caller with an outdated name; `''` is none.
 *
 * A history that became empty has no name. So a name without a list means that the server lost it: `gone`, for
 * callers that passed the name.
 */
const MOVED = `
local function moved(meta, list, items)
  local current = redis.call('HGET', meta, 'list') or ''
  if current ~= list then return { 'moved', current } end
  if items and list ~= '' and redis.call('EXISTS', items) == 0 then return { 'gone', list } end
end
`;

const RENAME = `
local function rename(meta, from, to, list)
  if redis.call('EXISTS', from) == 1 then redis.call('RENAME', from, to) end
  redis.call('HSET', meta, 'list', list)
end
`;

/**
 * When an element of the list was written, when it expires, and its birth (see element.ts). A damaged element has no
 * times: it must not keep others from being purged or listed.
 */
const TIMES = `
local function times(record)
  if string.byte(record) == 126 then record = string.sub(record, (string.find(record, '~', 2, true) or 1) + 1) end
  local plain = tonumber(string.match(record, '^(%d+) '))
  if plain then return plain, nil, plain end
  local valid, line = pcall(cjson.decode, string.sub(record, 1, (string.find(record, '\\n', 1, true) or 1) - 1))
  if not valid or type(line) ~= 'table' then return nil, nil, nil end
  local function number(value) return type(value) == 'number' and value or nil end
  return number(line[1]), number(line[2]), number(line[3]) or number(line[1])
end
`;

/** The server's clock in milliseconds. */
const CLOCK = `
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
`;

/**
 * When the keys of a session end (see life.ts). `lasts` is a time in Unix milliseconds, or `never`. `life` is what the process
 * says: `lasts of the new records (none: there are none):its clock:idle time:held:notes` (see notes-end.ts). Where the clock of the process is far
 * behind that of the server, the time that is left counts, and what is over already stays for another minute.
 */
const LIFE = `${TIMES}${CLOCK}${NOTES_END}
local function later(one, other)
  if one == 'never' or other == 'none' then return one end
  if other == 'never' or one == 'none' then return other end
  return tonumber(one) >= tonumber(other) and one or other
end
local function latest(records)
  local last = 'none'
  for _, record in ipairs(records) do
    local _, expires = times(record)
    last = later(last, expires and string.format('%.0f', expires) or 'never')
  end
  return last
end
local function lastsOf(meta, items)
  return redis.call('HGET', meta, 'lasts') or latest(redis.call('LRANGE', items, 0, -1))
end
local function settle(lasts, life, meta, holds, keys)
  redis.call('HSET', meta, 'lasts', lasts)
  local now, idle, held, notes = string.match(life, '^%w+:(%d+):(%d+):(%d):(.*)$')
  local server, at = clock(), tonumber(lasts)
  if at and server - tonumber(now) > 300000 then at = at + server - tonumber(now) end
  if at and at <= server then at = server + 60000 end
  if tonumber(idle) > 0 and (not at or server + tonumber(idle) < at) then at = server + tonumber(idle) end
  if held == '1' or redis.call('HLEN', holds) > 0 then at = nil end
  -- Records that branches have taken over need the data keys for as long as they last.
  local left = at and redis.call('HGET', meta, 'left')
  local longer = left and (left == 'never' or tonumber(left) > at) and left
  local ends = at and string.format('%.0f', at) or 'never'
  keys[#keys + 1] = meta
  for _, key in ipairs(keys) do
    local ending = longer and string.sub(key, -5) == ':deks' and longer or ends
    if ending == 'never' then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, ending) end
  end
  settleNotes(notes)
end
local function wanted(life) return string.match(life, '^%w+') end
`;

const PUSH = `
local function push(key, records, first)
  for at = first, #records, 1000 do
    redis.call('RPUSH', key, unpack(records, at, math.min(at + 999, #records)))
  end
end
`;

/**
 * Why records under `dids`, from `first` to `last`, must not be written. Each id is preceded by `+` when its data
 * key must exist here, else by `-`. Tombstones begin with `!`.
 */
const REFUSED = `
local function refused(key, dids, first, last)
  for at = first, last do
    local did = string.sub(dids[at], 2)
    local found = redis.call('HGET', key, did)
    if found and string.sub(found, 1, 1) == '!' then return { 'destroyed', did } end
    if not found and string.sub(dids[at], 1, 1) == '+' then return { 'missing', did } end
  end
end
`;

/**
 * Generation, which anything but an append replaces by a random number, length, and the mark of the append that ended
 * with the last element: length alone can repeat when the server lost its last writes and others appended since. An
 * element without a mark (see element.ts) is its own mark. Changes that were decided on an earlier read compare
 * this, too.
 */
const VERSION_OF = `
local function mark(items, at)
  local element = redis.call('LINDEX', items, at)
  if not element then return '' end
  return string.match(element, '^~(%d+)~') or redis.sha1hex(element)
end
local function version(items, meta)
  local generation = redis.call('HGET', meta, 'generation') or '0'
  return generation .. ':' .. redis.call('LLEN', items) .. ':' .. mark(items, -1)
end
`;

/** The first subject stays. The answer for a caller with another one. */
const DESCRIBE = `
local function owned(meta, subject)
  local owner = subject and subject ~= '' and redis.call('HGET', meta, 'subject')
  if owner and owner ~= subject then return { 'owned', '' } end
end
local function describe(meta, generation, id, subject)
  redis.call('HSETNX', meta, 'generation', generation)
  redis.call('HSET', meta, 'id', id)
  if subject and subject ~= '' then redis.call('HSET', meta, 'subject', subject) end
end
`;

/**
 * KEYS items, deks, meta, ops, holds. ARGV life ('': the keys last long enough), number of data keys, their ids, records. Nothing
 * when there is no list of this name: it is the script for a list that is known, as `RPUSHX` is where nothing else is to be done.
 */
export const PUSH_KEYED: Script = {
  name: 'push keyed',
  source: `${LIFE}${PUSH}${REFUSED}
local last = 2 + tonumber(ARGV[2])
local problem = refused(KEYS[2], ARGV, 3, last)
if problem then return problem end
if redis.call('RPUSHX', KEYS[1], unpack(ARGV, last + 1, math.min(last + 1000, #ARGV))) == 0 then return { 'moved' } end
push(KEYS[1], ARGV, last + 1001)
if ARGV[1] == '' then return { 'ok' } end
settle(later(lastsOf(KEYS[3], KEYS[1]), wanted(ARGV[1])), ARGV[1], KEYS[3], KEYS[5], { KEYS[1], KEYS[2], KEYS[4] })
return { 'ok' }
`,
};

/**
 * KEYS items, next items, meta, deks, ops, holds. ARGV list, next list, generation of a new one, id, subject ('': unknown),
 * life, number of data keys, their ids, records. The name of the list that has them now.
 */
export const APPEND: Script = {
  name: 'append',
  source: `${MOVED}${RENAME}${LIFE}${PUSH}${REFUSED}${DESCRIBE}
local away = moved(KEYS[3], ARGV[1], KEYS[1])
if away then return away end
local last = 7 + tonumber(ARGV[7])
local problem = refused(KEYS[4], ARGV, 8, last)
if problem then return problem end
local other = owned(KEYS[3], ARGV[5])
if other then return other end
describe(KEYS[3], ARGV[3], ARGV[4], ARGV[5])
local items, list, before = KEYS[1], ARGV[1], 'none'
if list == '' then
  items, list = KEYS[2], ARGV[2]
  rename(KEYS[3], KEYS[1], items, list)
else
  before = lastsOf(KEYS[3], items)
end
push(items, ARGV, last + 1)
settle(later(before, wanted(ARGV[6])), ARGV[6], KEYS[3], KEYS[6], { items, KEYS[4], KEYS[5] })
return { 'ok', list }
`,
};

/**
 * KEYS items, next items, meta, ops. ARGV list, next list ('': it keeps its name), from, count (-1: all), operation
 * ('': none). Version, digest, length, records.
 */
export const LOOK: Script = {
  name: 'look',
  source: `${MOVED}${RENAME}${VERSION_OF}
local items = KEYS[1]
local away = moved(KEYS[3], ARGV[1], KEYS[1])
if away then return away end
if ARGV[1] ~= '' and ARGV[2] ~= '' then
  rename(KEYS[3], KEYS[1], KEYS[2], ARGV[2])
  items = KEYS[2]
end
local digest = ''
if ARGV[5] ~= '' then
  local logged = redis.call('HGET', KEYS[4], ARGV[5])
  if logged then digest = string.match(logged, ' (.*)$') end
end
local count = tonumber(ARGV[4])
local records = {}
if count < 0 then records = redis.call('LRANGE', items, 0, -1)
elseif count > 0 and ARGV[3] == 'start' then records = redis.call('LRANGE', items, 0, count - 1)
elseif count > 0 then records = redis.call('LRANGE', items, -count, -1) end
return { 'ok', version(items, KEYS[3]), digest, redis.call('LLEN', items), records }
`,
};

/** As {@link LOOK}, of a branch: with the parts of its history instead of records. ARGV also prefix, id. */
export const LOOK_SHARED: Script = {
  name: 'look shared',
  source: `${MOVED}${RENAME}${VERSION_OF}${PARTS}
local items = KEYS[1]
local away = moved(KEYS[3], ARGV[1], KEYS[1])
if away then return away end
if ARGV[1] ~= '' and ARGV[2] ~= '' then
  rename(KEYS[3], KEYS[1], KEYS[2], ARGV[2])
  items = KEYS[2]
end
local digest = ''
if ARGV[5] ~= '' then
  local logged = redis.call('HGET', KEYS[4], ARGV[5])
  if logged then digest = string.match(logged, ' (.*)$') end
end
local parts = partsOf(ARGV[6], ARGV[7], items, redis.call('LLEN', items))
if lost then return { 'gone', lost } end
if damaged then return { 'damaged', '' } end
local length, count = lengthOf(parts), tonumber(ARGV[4])
local from, to = 0, length
if count >= 0 and ARGV[3] == 'start' then to = math.min(count, length)
elseif count >= 0 then from = math.max(length - count, 0) end
return { 'ok', version(items, KEYS[3]), digest, length, slice(parts, from, to) }
`,
};

/** KEYS items, meta. ARGV list, prefix, id, count (-1: all), how many are left out at the end. The parts of a history. */
export const VIEW: Script = {
  name: 'view',
  source: `${MOVED}${PARTS}
local away = moved(KEYS[2], ARGV[1], KEYS[1])
if away then return away end
local parts = partsOf(ARGV[2], ARGV[3], KEYS[1], redis.call('LLEN', KEYS[1]))
if lost then return { 'gone', lost } end
if damaged then return { 'damaged', '' } end
local to, count = lengthOf(parts) - tonumber(ARGV[5]), tonumber(ARGV[4])
local answer = slice(parts, count < 0 and 0 or math.max(to - count, 0), math.max(to, 0))
table.insert(answer, 1, 'ok')
return answer
`,
};

/**
 * KEYS items, next items, meta, ops, deks, turn, holds and, with an archive, its items, next items, meta, ops, deks, holds. ARGV options as JSON,
 * then `inserted` records, then those for the archive. Returns `lost` when `owner` does not have the turn, `stale`
 * with the name of the list when the session changed since it was read (where appends do not matter, its
 * generation) or the operation was applied, `moved` for the archive, else the names of the lists that have the
 * records now.
 */
export const CHANGE: Script = {
  name: 'change',
  source: `${MOVED}${RENAME}${LIFE}${PUSH}${REFUSED}${DESCRIBE}${VERSION_OF}${SHARED}
local options = cjson.decode(ARGV[1])
if options.owner and redis.call('GET', KEYS[6]) ~= options.owner then return { 'lost', '' } end
local items, list = KEYS[1], options.list
local away = moved(KEYS[3], list, items)
if away then return { 'stale', away[2] } end
local seen = options.appends and (redis.call('HGET', KEYS[3], 'generation') or '0') or version(items, KEYS[3])
if seen ~= options.version then return { 'stale', list } end
if options.operation and redis.call('HEXISTS', KEYS[4], options.operation) == 1 then return { 'stale', list } end
away = options.archive and moved(KEYS[10], options.archive.list, KEYS[8])
if away then return away end
away = options.share and moved(KEYS[10], options.share.list)
if away then return away end
if options.share and options.share.list ~= '' then return { 'taken', '' } end
local hold = options.removes and redis.call('HKEYS', KEYS[7])[1]
if hold then return { 'held', hold } end
local problem = refused(KEYS[5], options.dids, 1, #options.dids)
if problem then return problem end
local other = owned(KEYS[3], options.subject)
if other then return other end
if options.nothing and redis.call('EXISTS', KEYS[3]) == 0 then return { 'ok', '', '' } end
local inserted, archived = {}, {}
for at = 2, 1 + options.inserted do inserted[#inserted + 1] = ARGV[at] end
for at = 2 + options.inserted, #ARGV do archived[#archived + 1] = ARGV[at] end
describe(KEYS[3], options.generation, options.id, options.subject)
local before = list ~= '' and lastsOf(KEYS[3], items) or 'none'
if list == '' then
  rename(KEYS[3], KEYS[1], KEYS[2], options.next)
  items, list = KEYS[2], options.next
end
if options.prefix and options.remove == 'all' then
  leave(options.prefix, options.id, items, 0)
  release(options.prefix, options.id, items)
elseif options.prefix and options.remove ~= 'none' then
  options.index, options.count = beforeRemoval(options.prefix, options.id, items, options.index, options.count)
end
if options.remove == 'all' then
  redis.call('DEL', items)
  push(items, inserted, 1)
elseif options.remove == 'none' then
  push(items, inserted, 1)
else
  local length = redis.call('LLEN', items)
  local head, tail = options.index, length - options.index - options.count
  if tail <= head then
    local after = tail > 0 and redis.call('LRANGE', items, -tail, -1) or {}
    if head == 0 then redis.call('DEL', items) else redis.call('LTRIM', items, 0, head - 1) end
    push(items, inserted, 1)
    push(items, after, 1)
  else
    local before = head > 0 and redis.call('LRANGE', items, 0, head - 1) or {}
    redis.call('LTRIM', items, head + options.count, -1)
    for at = #inserted, 1, -1 do redis.call('LPUSH', items, inserted[at]) end
    for at = #before, 1, -1 do redis.call('LPUSH', items, before[at]) end
  end
end
if redis.call('EXISTS', items) == 0 then
  redis.call('HDEL', KEYS[3], 'list')
  list = ''
end
-- Nothing appended, something logged: that too must be seen by those who looked before.
if options.remove ~= 'none' or #inserted == 0 then redis.call('HSET', KEYS[3], 'generation', options.generation) end
if options.forget then redis.call('DEL', KEYS[4]) end
if options.operation then
  local position = redis.call('HINCRBY', KEYS[3], 'position', 1)
  redis.call('HSET', KEYS[4], options.operation, position .. ' ' .. options.digest)
  if redis.call('HLEN', KEYS[4]) > options.log then
    local logged = redis.call('HGETALL', KEYS[4])
    for at = 1, #logged, 2 do
      if tonumber(string.match(logged[at + 1], '^%d+')) <= position - options.log then
        redis.call('HDEL', KEYS[4], logged[at])
      end
    end
  end
end
if list ~= '' then
  local lasts = later(before, wanted(options.life))
  if options.remove == 'all' then lasts = wanted(options.life)
  elseif options.remove ~= 'none' and redis.call('LLEN', items) <= 512 then lasts = latest(redis.call('LRANGE', items, 0, -1)) end
  -- Who pushes without a look relies on it that the list of this name lasts so long.
  if later(lasts, before) ~= lasts and items == KEYS[1] then
    rename(KEYS[3], items, KEYS[2], options.next)
    items, list = KEYS[2], options.next
  end
  settle(lasts, options.life, KEYS[3], KEYS[7], { items, KEYS[4], KEYS[5] })
end
if options.share then
  local parts = partsOf(options.prefix, options.id, items, list ~= '' and redis.call('LLEN', items) or 0)
  local count = options.share.count == 'all' and lengthOf(parts) or options.share.count
  local base, first
  for _, part in ipairs(parts) do
    local size = part.last - part.first + 1
    if count > 0 and not first then first = redis.call('LINDEX', part.key, part.first) end
    if count > 0 and count <= size then
      base = part
      redis.call('HSET', tagOf(options.prefix, part.id) .. ':meta', '>' .. options.share.id, part.first + count)
    end
    count = count - size
  end
  if base then
    local lasts = lastsOf(tagOf(options.prefix, base.id) .. ':meta', base.key)
    local written = string.format('%.0f', times(first) or 0)
    local marker = '[' .. written .. ',' .. (tonumber(lasts) and lasts or 'null') .. ',' .. written .. ',null,"share",null]\\n' .. base.id
    describe(KEYS[10], options.generation, options.share.id)
    redis.call('HSET', KEYS[10], 'list', options.share.next, 'generation', options.generation)
    redis.call('RPUSH', KEYS[9], marker)
    settle(lasts, options.share.life, KEYS[10], KEYS[13], { KEYS[9], KEYS[11], KEYS[12] })
    if redis.call('HLEN', KEYS[13]) > 0 then keep(options.prefix, options.share.id, KEYS[9]) end
    if #parts >= ${MOST_PARTS} then takeOver(options.prefix, options.share.id, KEYS[9]) end
  end
  return { 'ok', list, '' }
end
if #archived == 0 then return { 'ok', list, '' } end
local target, name = KEYS[8], options.archive.list
if name == '' then target, name = KEYS[9], options.archive.next end
describe(KEYS[10], options.generation, options.archive.id)
before = target == KEYS[8] and lastsOf(KEYS[10], target) or 'none'
redis.call('HSET', KEYS[10], 'list', name)
push(target, archived, 1)
settle(later(before, wanted(options.archive.life)), options.archive.life, KEYS[10], KEYS[13], { target, KEYS[11], KEYS[12] })
return { 'ok', list, name }
`,
};

/**
 * KEYS items, meta, ops, deks, holds, turn. ARGV list, now, version ('': it is not compared), prefix ('': nothing is shared), id, root, notes. A
 * tombstone for each live data key that no record of another session needs.
 */
export const DROP: Script = {
  name: 'drop',
  source: `${MOVED}${LIFE}${VERSION_OF}${SHARED}${NEEDED}
local away = moved(KEYS[2], ARGV[1])
if away then return away end
if ARGV[3] ~= '' and version(KEYS[1], KEYS[2]) ~= ARGV[3] then return { 'stale', '' } end
local hold = redis.call('HKEYS', KEYS[5])[1]
if hold then return { 'held', hold } end
local prefix, id, needed, origins = ARGV[4], ARGV[5], {}, {}
if prefix ~= '' then
  leave(prefix, id, KEYS[1], 0)
  release(prefix, id, KEYS[1])
  -- Only branches have records of others.
  if isBranch(id) then each(KEYS[1], function(record)
    local valid, fields = pcall(cjson.decode, string.match(record, '%[[^\\n]*') or '')
    if valid and type(fields) == 'table' and type(fields[7]) == 'string' then origins[fields[7]] = true end
  end) end
  needed = neededOf(prefix, ARGV[6], id)
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[6])
settleNotes(ARGV[7])
bury(KEYS[4], needed, ARGV[2])
-- Sessions that are gone left their data keys to these records.
for origin in pairs(origins) do
  local tag = tagOf(prefix, origin)
  if redis.call('EXISTS', tag .. ':meta') == 0 then bury(tag .. ':deks', neededOf(prefix, ARGV[6], origin), ARGV[2]) end
end
return { 'ok', '' }
`,
};

/**
 * KEYS items, next items, meta, ops, holds, deks. ARGV list, next list, now, written before ('': no policy), most,
 * generation, life, prefix ('': nothing is shared), id. How many were deleted, whether expired ones are left, version, earliest expiry and birth of the
 * rest ('' when there is none), how many are left: the indexes are set to those times afterwards, so the remaining
 * list gets the next name.
 */
export const PURGE: Script = {
  name: 'purge',
  source: `${MOVED}${RENAME}${LIFE}${PUSH}${VERSION_OF}${SHARED}
local away = moved(KEYS[3], ARGV[1], KEYS[1])
if away then return away end
if redis.call('HLEN', KEYS[5]) > 0 then return { 0, 0, '', '', '', -1 } end
local now, before, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local records = redis.call('LRANGE', KEYS[1], 0, -1)
local kept, gone, more = {}, 0, 0
local earliest, oldest
local prefix, id, heirs, less = ARGV[8], ARGV[9], {}, {}
if prefix ~= '' then
  heirs = allHeirsOf(prefix, id, {})
  for _, heir in ipairs(heirs) do
    local tag = tagOf(prefix, heir)
    local list = listOf(tag)
    if list and redis.call('HLEN', tag .. ':holds') > 0 then takeOver(prefix, heir, list) end
  end
  heirs = heirsOf(prefix, id)
end
local base = prefix ~= '' and baseOf(KEYS[1])
for at, record in ipairs(records) do
  local _, expires, born = times(record)
  local expired = not (base and at == 1) and ((expires and expires <= now) or (before and born and born <= before))
  if expired and gone < most then
    for _, heir in ipairs(heirs) do
      if at <= heir.count then less[heir.id] = (less[heir.id] or 0) + 1 end
    end
  end
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
  for _, heir in ipairs(heirs) do
    local left = heir.count - (less[heir.id] or 0)
    local tag = tagOf(prefix, heir.id)
    local list = listOf(tag)
    if left > 0 then redis.call('HSET', KEYS[3], '>' .. heir.id, left) else redis.call('HDEL', KEYS[3], '>' .. heir.id) end
    if left == 0 and list and baseOf(list) == id then
      redis.call('LPOP', list)
      shift(prefix, heir.id, -1)
      unnameEmpty(tag, list)
    end
  end
  for _, heir in ipairs(prefix ~= '' and allHeirsOf(prefix, id, {}) or {}) do
    local tag = tagOf(prefix, heir)
    if redis.call('EXISTS', tag .. ':meta') == 1 then redis.call('HSET', tag .. ':meta', 'generation', ARGV[6]) end
  end
  redis.call('DEL', KEYS[1])
  push(KEYS[1], kept, 1)
end
if #kept > 0 then
  rename(KEYS[3], KEYS[1], KEYS[2], ARGV[2])
  if gone > 0 then redis.call('HSET', KEYS[3], 'generation', ARGV[6]) end
  settle(latest(kept), ARGV[7], KEYS[3], KEYS[5], { KEYS[2], KEYS[4], KEYS[6] })
elseif gone > 0 then
  redis.call('DEL', KEYS[3], KEYS[4])
else
  redis.call('HDEL', KEYS[3], 'list')
end
local function text(value) return value and string.format('%.0f', value) or '' end
return { gone, more, version(KEYS[2], KEYS[3]), text(earliest), text(oldest), #kept }
`,
};

/**
 * KEYS a list, meta. ARGV its name. Not the current list of the session, which may have been created again
 * meanwhile.
 */
export const REMOVE_ORPHAN: Script = {
  name: 'remove orphan',
  source: `if redis.call('HGET', KEYS[2], 'list') ~= ARGV[1] then redis.call('UNLINK', KEYS[1]) end`,
};

/** KEYS items, meta. For a history that was cleared by a version that kept its name. */
export const UNNAME: Script = {
  name: 'unname',
  source: `if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], 'list') end`,
};

/**
 * KEYS items, meta. ARGV list, places of elements. The version, and the marks at those places. Each read of a cached history
 * runs it: what `moved` and `version` ask, in fewer commands.
 */
export const VERSION: Script = {
  name: 'version',
  source: `${VERSION_OF}
local list, generation = unpack(redis.call('HMGET', KEYS[2], 'list', 'generation'))
list = list or ''
if list ~= ARGV[1] then return { 'moved', list } end
local length = redis.call('LLEN', KEYS[1])
if list ~= '' and length == 0 then return { 'gone', list } end
local answer = { (generation or '0') .. ':' .. length .. ':' .. mark(KEYS[1], -1) }
for at = 2, #ARGV do answer[at] = mark(KEYS[1], ARGV[at]) end
return answer
`,
};

/** KEYS items, meta. ARGV list, prefix ('': nothing is shared), id. Items, bytes, first, last, subject. */
export const STATS: Script = {
  name: 'stats',
  source: `${MOVED}${TIMES}${PARTS}
local away = moved(KEYS[2], ARGV[1], KEYS[1])
if away then return away end
local records = {}
if ARGV[2] == '' then records = redis.call('LRANGE', KEYS[1], 0, -1)
else
  for _, part in ipairs(partsOf(ARGV[2], ARGV[3], KEYS[1], redis.call('LLEN', KEYS[1]))) do
    for _, record in ipairs(redis.call('LRANGE', part.key, part.first, part.last)) do records[#records + 1] = record end
  end
end
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

/** KEYS meta. ARGV subject: for an existing session without a subject. */
export const LEAVE_SUBJECT: Script = {
  name: 'leave subject',
  source: `if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSETNX', KEYS[1], 'subject', ARGV[1]) end`,
};

/**
 * KEYS deks. ARGV did, expected, next wrapped, next kid. 1 when it was replaced, -1 when the value is not a record.
 */
export const REWRAP: Script = {
  name: 'rewrap',
  source: `
local found = redis.call('HGET', KEYS[1], ARGV[1])
if not found or string.sub(found, 1, 1) == '!' then return 0 end
local valid, record = pcall(cjson.decode, found)
if not valid or type(record) ~= 'table' or type(record.createdAt) ~= 'number' then return -1 end
if record.wrapped ~= ARGV[2] then return 0 end
record.wrapped = ARGV[3]
record.kid = ARGV[4]
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(record))
return 1
`,
};

/**
 * KEYS deks, holds, items, next items, meta. ARGV list, next list, now, did ('': all). Ids and times of destruction, or
 * the hold. A process that relies on the key must not push to the list any more: it gets the next name.
 */
export const DESTROY: Script = {
  name: 'destroy',
  source: `${MOVED}${RENAME}
local away = moved(KEYS[5], ARGV[1])
if away then return away end
local hold = redis.call('HKEYS', KEYS[2])[1]
if hold then return { 'held', hold } end
local answer, destroyed = { 'ok' }, false
local deks = redis.call('HGETALL', KEYS[1])
for at = 1, #deks, 2 do
  if ARGV[4] == '' or ARGV[4] == deks[at] then
    if string.sub(deks[at + 1], 1, 1) ~= '!' then
      redis.call('HSET', KEYS[1], deks[at], '!' .. ARGV[3])
      deks[at + 1] = '!' .. ARGV[3]
      destroyed = true
    end
    answer[#answer + 1] = deks[at]
    answer[#answer + 1] = string.sub(deks[at + 1], 2)
  end
end
if destroyed and ARGV[1] ~= '' then rename(KEYS[5], KEYS[3], KEYS[4], ARGV[2]) end
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

/** KEYS a hash. Its fields and values alternating, in every version of the protocol. */
export const FIELDS: Script = { name: 'fields', source: `return redis.call('HGETALL', KEYS[1])` };

/**
 * KEYS lease. ARGV owner, milliseconds that the key lasts. 1, or the existing lease: its owner, for how long the
 * key lasts, and when it expires. A key that lasts longer was written before the clock was set back.
 */
export const ACQUIRE: Script = {
  name: 'acquire',
  source: `${CLOCK}
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 or left > tonumber(ARGV[2]) then
    left = tonumber(ARGV[2])
    redis.call('PEXPIRE', KEYS[1], left)
  end
  return { owner, left, clock() + left }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`,
};

/**
 * KEYS lease. ARGV owner, milliseconds that the key lasts, the owner and the latest expiry that were read. 1, or 0
 * after a renewal.
 */
export const TAKE_OVER: Script = {
  name: 'takeOver',
  source: `${CLOCK}
if redis.call('GET', KEYS[1]) ~= ARGV[3] then return 0 end
if clock() + redis.call('PTTL', KEYS[1]) > tonumber(ARGV[4]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`,
};

/** KEYS lease. ARGV owner, milliseconds that the key lasts (0: release). */
export const RENEW: Script = {
  name: 'renew',
  source: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`,
};

/**
 * KEYS list without a name, list with one, next items, meta. ARGV next list. Records that a program with names has
 * appended since follow the earlier ones.
 */
export const ADOPT: Script = {
  name: 'adopt',
  source: `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local length = redis.call('LLEN', KEYS[2])
for at = 0, length - 1, 1000 do
  redis.call('RPUSH', KEYS[1], unpack(redis.call('LRANGE', KEYS[2], at, at + 999)))
end
redis.call('DEL', KEYS[2])
redis.call('RENAME', KEYS[1], KEYS[3])
redis.call('HSET', KEYS[4], 'list', ARGV[1])
redis.call('HINCRBY', KEYS[4], 'generation', 1)
return 1
`,
};

/**
 * KEYS holds, meta, items, ops, deks. ARGV list, id of the hold, '', prefix ('': nothing is shared), id, notes. The keys of a held
 * session do not end; a branch gets records of its own, because those of its base can.
 */
export const HOLD: Script = {
  name: 'hold',
  source: `${MOVED}${LIFE}${SHARED}
local away = moved(KEYS[2], ARGV[1])
if away then return away end
redis.call('HSET', KEYS[1], ARGV[2], '1')
if ARGV[4] ~= '' and ARGV[1] ~= '' then keep(ARGV[4], ARGV[5], KEYS[3]) end
for at = 2, 5 do redis.call('PERSIST', KEYS[at]) end
settleNotes(ARGV[6])
return { 'ok' }
`,
};

/** KEYS holds, meta, items, ops, deks. ARGV list, id of the hold, life. */
export const RELEASE: Script = {
  name: 'release',
  source: `${MOVED}${LIFE}
local away = moved(KEYS[2], ARGV[1])
if away then return away end
redis.call('HDEL', KEYS[1], ARGV[2])
if ARGV[1] ~= '' then settle(lastsOf(KEYS[2], KEYS[3]), ARGV[3], KEYS[2], KEYS[1], { KEYS[3], KEYS[4], KEYS[5] }) end
return { 'ok' }
`,
};
