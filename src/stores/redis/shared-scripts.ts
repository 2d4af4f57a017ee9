import { MOST_PARTS } from '../shared-parts.ts';

/*
 * Branches share the records of their beginning (decision 85). The list of such a branch begins with an element that is no
 * record: a line `[written, latest expiry, born, null, "share", null]`, then the id of the session whose first elements
 * it shares. How many, `meta` of that session says, in the field `>` and the id of the branch, so that it ends with its list. Only with
 * one server: the scripts read and write keys of several sessions. `options` has the prefix of the keys.
 *
 * Used after `LIFE` (scripts.ts).
 */

/** As `sessionKeys` (keys.ts): what the keys of a session begin with. */
export const TAG_OF: string = `
local function tagOf(prefix, id)
  local encoded = string.gsub(id, "[^%w%-_%.!~%*'%(%)]", function(byte) return string.format('%%%02X', string.byte(byte)) end)
  return prefix .. ':{' .. encoded .. '}'
end
`;

/** Finds the parts of a history: elements `first` to `last` of a list, written for the session `id`. */
export const PARTS: string = `${TAG_OF}
local function listOf(tag)
  local name = redis.call('HGET', tag .. ':meta', 'list')
  return name and tag .. ':items:' .. name
end
local function baseOf(items)
  local first = items and redis.call('LINDEX', items, 0)
  return first and string.match(first, '^%[[^\\n]*,"share",null%]\\n(.*)$'), first
end
-- Set when the server lost a list that a branch begins with, and when there are more parts than strongroom makes, such as
-- those of a circle.
local lost, damaged
local function partsOf(prefix, id, items, count, place)
  local parts, first = {}, 0
  place = place or 0
  if place > ${MOST_PARTS} then damaged = true end
  if damaged then return parts end
  local base = baseOf(items)
  if base then
    first = 1
    local tag = tagOf(prefix, base)
    local below = listOf(tag)
    local shared = tonumber(redis.call('HGET', tag .. ':meta', '>' .. id) or '0')
    if below and shared > 0 and redis.call('EXISTS', below) == 0 then lost = below end
    if below and shared > 0 then parts = partsOf(prefix, base, below, shared, place + 1) end
    if damaged then parts = {} end
  end
  if count > first then parts[#parts + 1] = { key = items, first = first, last = count - 1, id = id } end
  return parts
end
local function lengthOf(parts)
  local length = 0
  for _, part in ipairs(parts) do length = length + part.last - part.first + 1 end
  return length
end
local function slice(parts, from, to)
  local answer, at = {}, 0
  for _, part in ipairs(parts) do
    local size = part.last - part.first + 1
    local low, high = math.max(from - at, 0), math.min(to - at, size) - 1
    if low <= high then
      answer[#answer + 1] = part.id
      answer[#answer + 1] = redis.call('LRANGE', part.key, part.first + low, part.first + high)
    end
    at = at + size
  end
  return answer
end
`;

/** Changes what is shared. */
export const SHARED: string = `${PARTS}
local function foreign(record, id)
  if string.byte(record) == 126 then record = string.sub(record, (string.find(record, '~', 2, true) or 1) + 1) end
  local written, body = string.match(record, '^(%d+) (.*)$')
  if written then return '[' .. written .. ',null,null,null,null,null,' .. cjson.encode(id) .. ']\\n' .. body end
  local ends = string.find(record, '\\n', 1, true)
  local valid, fields = pcall(cjson.decode, string.sub(record, 1, (ends or 1) - 1))
  if not ends or not valid or type(fields) ~= 'table' or #fields ~= 6 then return record end
  return string.sub(record, 1, ends - 2) .. ',' .. cjson.encode(id) .. ']' .. string.sub(record, ends)
end
local function heirsOf(prefix, id)
  local heirs = {}
  local meta = redis.call('HGETALL', tagOf(prefix, id) .. ':meta')
  for at = 1, #meta, 2 do
    if string.byte(meta[at]) == 62 then heirs[#heirs + 1] = { id = string.sub(meta[at], 2), count = tonumber(meta[at + 1]) } end
  end
  return heirs
end
local function allHeirsOf(prefix, id, found)
  for _, heir in ipairs(heirsOf(prefix, id)) do
    if not found[heir.id] then
      found[#found + 1], found[heir.id] = heir.id, true
      allHeirsOf(prefix, heir.id, found)
    end
  end
  return found
end
local function noteTimes(prefix, id, records)
  for _, record in ipairs(records) do
    local _, expires, born = times(record)
    if expires then redis.call('ZADD', prefix .. ':expiries', 'LT', string.format('%.0f', expires), id) end
    if born then redis.call('ZADD', prefix .. ':births', 'LT', string.format('%.0f', born), id) end
  end
end
local function unnameEmpty(tag, list)
  if redis.call('EXISTS', list) == 0 then redis.call('HDEL', tag .. ':meta', 'list') end
end
-- The list of a branch got so many more elements at its beginning: who shares it has these, too.
local function shift(prefix, id, more)
  local meta = tagOf(prefix, id) .. ':meta'
  for _, heir in ipairs(heirsOf(prefix, id)) do redis.call('HSET', meta, '>' .. heir.id, heir.count + more) end
end
local function insertFirst(prefix, id, list, records)
  local marker = redis.call('LINDEX', list, 0)
  for at = #records, 1, -1 do redis.call('LINSERT', list, 'AFTER', marker, records[at]) end
  noteTimes(prefix, id, records)
  shift(prefix, id, #records)
end
-- Before elements of a list from this one on are removed: the branches that share some of them get these as their own.
local function leave(prefix, id, items, from)
  local meta = tagOf(prefix, id) .. ':meta'
  for _, heir in ipairs(heirsOf(prefix, id)) do
    local tag = tagOf(prefix, heir.id)
    local list = listOf(tag)
    if not list or heir.id == id then
      redis.call('HDEL', meta, '>' .. heir.id)
    elseif heir.count > from then
      local base, first = baseOf(items)
      local given = {}
      for at, record in ipairs(redis.call('LRANGE', items, from, heir.count - 1)) do
        if not (base and from + at == 1) then given[#given + 1] = foreign(record, id) end
      end
      insertFirst(prefix, heir.id, list, given)
      redis.call('HSET', meta, 'left', later(redis.call('HGET', meta, 'left') or 'none', latest(given)))
      if from > 0 then
        redis.call('HSET', meta, '>' .. heir.id, from)
      else
        redis.call('HDEL', meta, '>' .. heir.id)
        if base then
          local below = tagOf(prefix, base) .. ':meta'
          redis.call('LSET', list, 0, first)
          redis.call('HSET', below, '>' .. heir.id, redis.call('HGET', below, '>' .. id) or '0')
        else
          redis.call('LPOP', list)
          shift(prefix, heir.id, -1)
          unnameEmpty(tag, list)
        end
      end
    end
  end
end
-- A branch refers to nothing any more.
local function release(prefix, id, items)
  local base = baseOf(items)
  if base then redis.call('HDEL', tagOf(prefix, base) .. ':meta', '>' .. id) end
end
-- The history of a branch without its beginning becomes its own elements.
local function takeOver(prefix, id, items)
  local base = baseOf(items)
  if not base then return end
  local own = {}
  for _, part in ipairs(partsOf(prefix, id, items, 1)) do
    for _, record in ipairs(redis.call('LRANGE', part.key, part.first, part.last)) do
      own[#own + 1] = foreign(record, part.id)
      local above = tagOf(prefix, part.id) .. ':meta'
      redis.call('HSET', above, 'left', later(redis.call('HGET', above, 'left') or 'none', latest({ record })))
    end
  end
  insertFirst(prefix, id, items, own)
  release(prefix, id, items)
  redis.call('LPOP', items)
  shift(prefix, id, -1)
  unnameEmpty(tagOf(prefix, id), items)
end
-- The history of a branch under a hold becomes its own, and data keys of other sessions that it needs do not end any more.
local function keep(prefix, id, items)
  takeOver(prefix, id, items)
  local origins = {}
  for _, record in ipairs(redis.call('LRANGE', items, 0, -1)) do
    local valid, fields = pcall(cjson.decode, string.match(record, '%[[^\\n]*') or '')
    if valid and type(fields) == 'table' and type(fields[7]) == 'string' then origins[fields[7]] = true end
  end
  for origin in pairs(origins) do
    local tag = tagOf(prefix, origin)
    if redis.call('EXISTS', tag .. ':meta') == 1 then redis.call('HSET', tag .. ':meta', 'left', 'never') end
    redis.call('PERSIST', tag .. ':deks')
  end
end
-- Of its beginning a branch keeps so many records.
local function shorten(prefix, id, items, keep)
  while true do
    local base = baseOf(items)
    if not base then return end
    local meta = tagOf(prefix, base) .. ':meta'
    local below = listOf(tagOf(prefix, base))
    local further, first = baseOf(below)
    local shared = further and lengthOf(partsOf(prefix, base, below, 1)) or 0
    if keep == 0 then
      redis.call('HDEL', meta, '>' .. id)
      redis.call('LPOP', items)
      return
    end
    if not further or keep > shared then
      redis.call('HSET', meta, '>' .. id, keep - shared + (further and 1 or 0))
      return
    end
    local under = tagOf(prefix, further) .. ':meta'
    redis.call('HDEL', meta, '>' .. id)
    redis.call('HSET', under, '>' .. id, redis.call('HGET', under, '>' .. base) or '0')
    redis.call('LSET', items, 0, first)
  end
end
-- Whether a removal is left to do, and of which elements of the list.
local function beforeRemoval(prefix, id, items, at, count)
  if baseOf(items) then
    local length = redis.call('LLEN', items)
    local shared = lengthOf(partsOf(prefix, id, items, 1))
    if at >= shared then
      at = at - shared + 1
    elseif at + count == shared + length - 1 then
      leave(prefix, id, items, 0)
      redis.call('LTRIM', items, 0, 0)
      shorten(prefix, id, items, at)
      return redis.call('LLEN', items), 0
    else
      takeOver(prefix, id, items)
    end
  end
  if count > 0 then leave(prefix, id, items, at) end
  return at, count
end
`;

/**
 * The data keys of a session that records need which branches of the conversation have taken over. Records are read in parts: a
 * deletion has to work on a server without free memory.
 */
export const NEEDED = `
local function isBranch(id) return string.sub(id, 1, 8) == '~branch~' end
local function each(list, visit)
  for first = 0, redis.call('LLEN', list) - 1, 128 do
    for _, record in ipairs(redis.call('LRANGE', list, first, first + 127)) do visit(record) end
  end
end
local function neededOf(prefix, root, id)
  local needed, mark = {}, ',' .. cjson.encode(id) .. ']\\n'
  local kin = redis.call('ZRANGE', prefix .. ':tree:' .. root, 0, -1)
  for _, other in ipairs(kin) do
    local list = other ~= id and isBranch(other) and listOf(tagOf(prefix, other))
    if list then each(list, function(record)
      local found = string.find(record, mark, 1, true)
      local valid, fields = pcall(cjson.decode, found and string.match(record, '%[[^\\n]*') or '')
      if found and valid and type(fields[4]) == 'string' and fields[7] == id then needed[fields[4]] = true end
    end) end
  end
  return needed
end
local function bury(deks, needed, now)
  local keys = redis.call('HGETALL', deks)
  for at = 1, #keys, 2 do
    if not needed[keys[at]] and string.sub(keys[at + 1], 1, 1) ~= '!' then redis.call('HSET', deks, keys[at], '!' .. now) end
  end
end
`;
