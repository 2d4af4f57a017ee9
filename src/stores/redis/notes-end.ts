import { derivedId, isBranch, lineageOf, rootOf } from '../../derived-id.ts';
import { sessionKeys } from './keys.ts';
import { TAG_OF } from './shared-scripts.ts';

/*
 * The notes on the branches of a conversation (`~branches~~<id>`, see notes.ts) have no expiry of their own: their keys
 * end with those of the conversation or of its branch that ends last. Only with one server, as scripts read the ends of keys in
 * several slots. In a cluster they do not end.
 */

/**
 * The argument of `settleNotes`: which notes a change of this session can concern: those on its own branches, those that list
 * it as a branch, or itself. Their keys `meta`, which no space is in, then a line of JSON for when one of them exists.
 */
export function notesBeside(prefix: string, sessionId: string): string {
  const parent = lineageOf(sessionId)?.parent;
  const ids = isNotes(sessionId) ? [] : [sessionId];
  if (parent !== undefined && (isNotes(sessionId) || isBranch(sessionId))) ids.push(parent);
  const beside = ids.map((id) => ({
    id,
    notes: derivedId({ kind: 'branches', of: id }),
    prefix,
    root: rootOf(id),
  }));
  const keys = beside.map(({ notes }) => sessionKeys(prefix, notes).meta);
  return `${keys.join(' ')}\n${JSON.stringify(beside)}`;
}

/** Whether the session is the notes on branches. */
export function isNotes(sessionId: string): boolean {
  return lineageOf(sessionId)?.kind === 'branches';
}

/** After the ends of the keys of a session were changed. Used after `CLOCK`. Few conversations have notes. */
export const NOTES_END: string = `
local function settleNotes(beside)
  local metas = {}
  for meta in string.gmatch(string.match(beside, '^[^\\n]*'), '%S+') do metas[#metas + 1] = meta end
  if #metas == 0 or redis.call('EXISTS', unpack(metas)) == 0 then return end
${TAG_OF}
  local function endOf(key)
    local ends = redis.pcall('PEXPIRETIME', key)
    if type(ends) == 'number' then return ends end
    -- Before Redis 7.
    local left = redis.call('PTTL', key)
    return left < 0 and left or clock() + left
  end
  local function isHeld(tag) return redis.call('HLEN', tag .. ':holds') > 0 end
  -- -1: never; nil: no history is left.
  local function endOfAll(of)
    local tags = { tagOf(of.prefix, of.id) }
    for _, id in ipairs(redis.call('ZRANGE', of.prefix .. ':tree:' .. of.root, 0, -1)) do
      if string.match(id, '^~branch~[^~]*~(.*)$') == of.id then tags[#tags + 1] = tagOf(of.prefix, id) end
    end
    local last
    for _, tag in ipairs(tags) do
      if isHeld(tag) then return -1 end
      if redis.call('HEXISTS', tag .. ':meta', 'list') == 1 then
        local ends = endOf(tag .. ':meta')
        if ends == -1 then return -1 end
        last = math.max(last or 0, ends)
      end
    end
    return last
  end
  for _, of in ipairs(cjson.decode(string.match(beside, '\\n(.*)$'))) do
    local tag = tagOf(of.prefix, of.notes)
    local list = redis.call('HGET', tag .. ':meta', 'list')
    local last = list and (isHeld(tag) and -1 or endOfAll(of))
    for _, key in ipairs(last and { ':items:' .. list, ':meta', ':ops', ':deks' } or {}) do
      if last == -1 then redis.call('PERSIST', tag .. key)
      else redis.call('PEXPIREAT', tag .. key, string.format('%.0f', last)) end
    end
  end
end
`;
