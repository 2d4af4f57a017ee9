import { appendEach } from '../append-each.ts';
import type { Batch, StoreDriver } from '../driver.ts';
import { saying } from '../failure.ts';
import { neededDids } from '../record.ts';
import type { RedisArgument } from './client.ts';
import { encodeAppend } from './element.ts';
import { entriesOf, type IndexEntries } from './index-entries.ts';
import { lifeOf } from './life.ts';
import type { RedisParts } from './parts.ts';
import { signed, throwRefusal } from './refusals.ts';
import { APPEND, PUSH_KEYED } from './scripts.ts';

/** Appends with one command to a list whose name is known, else with a script. */
export function redisAppend(
  parts: RedisParts,
  { index, confirm }: IndexEntries,
): Pick<StoreDriver, 'append' | 'appendMany'> {
  const { commands, idle, keysOf, indexed } = parts;
  const { of: listsOf, onList } = parts.lists;
  /** A failed read before the write means that nothing was written. */
  const append = (batch: Batch): Promise<void> => saying('no', () => appended(batch));

  async function appended({ sessionId, records, subject, presumed, mark }: Batch): Promise<void> {
    const entries = entriesOf(records, subject);
    const elements = encodeAppend(records, mark);
    const { meta, deks, ops, holds } = keysOf(sessionId);
    const dids = signed(entries.dids, neededDids(records));
    const known = indexed.covers(sessionId, entries);
    if (known !== undefined) {
      const lasts = idle === 0 && indexed.lasts(sessionId) >= entries.latest;
      const life = lasts ? '' : await lifeOf(parts, sessionId, entries.latest);
      if (await pushed(sessionId, known, life, dids, elements)) {
        if (!lasts) indexed.raise(sessionId, known, entries.latest);
        return;
      }
      indexed.name(sessionId, '');
    }
    const [lists, life] = await Promise.all([
      listsOf(sessionId),
      lifeOf(parts, sessionId, entries.latest),
      index(sessionId, entries, 'no'),
    ]);
    const settings = [String(mark), sessionId, subject ?? '', life, String(dids.length), ...dids];
    const answer = await onList(
      sessionId,
      ({ list, items, next, nextItems }) =>
        commands.script(
          APPEND,
          [items, nextItems, meta, deks, ops, holds],
          [list, next, ...settings, ...elements],
        ),
      lists,
    );
    const [state, detail] = (answer as Buffer[]).map(String) as [string, string];
    throwRefusal(sessionId, state, detail);
    await confirm(sessionId, detail, entries, presumed);
  }

  /** Whether there still was a list of this name. */
  async function pushed(
    sessionId: string,
    list: string,
    life: string,
    dids: readonly string[],
    elements: readonly RedisArgument[],
  ): Promise<boolean> {
    const { items, deks, meta, ops, holds } = keysOf(sessionId);
    if (life === '' && !dids.some((did) => did.startsWith('+'))) {
      return (await commands.write('RPUSHX', items(list), ...elements)) !== 0;
    }
    const answer = await commands.script(
      PUSH_KEYED,
      [items(list), deks, meta, ops, holds],
      [life, String(dids.length), ...dids, ...elements],
    );
    const [state = '', did = ''] = (answer as Buffer[]).map(String);
    throwRefusal(sessionId, state, did);
    return state === 'ok';
  }

  return {
    append,

    // Commands that are sent in one turn share a packet.
    appendMany: (batches) => appendEach(batches, append),
  };
}
