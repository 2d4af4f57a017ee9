import { ancestorsOf } from '../../derived-id.ts';
import type { Expired, StoreDriver, StoredRecord } from '../driver.ts';
import { firstTimes, isExpired, SESSIONS_A_STEP } from '../first-times.ts';
import { movedOn, newMark } from '../marks.ts';
import type { Database } from './database.ts';
import { removeSession } from './deletion.ts';
import { attemptOn } from './draft.ts';
import { decodeElements } from './element.ts';
import { heldKeyOf, openHolds } from './holds.ts';
import { decodeJson, dueRange, rangeOf, type Bound } from './layout.ts';
import { leasePurge } from './leases.ts';
import { pairsOf } from './pages.ts';
import { saveSession, sessionKeyOf, without, type SessionRow } from './session-row.ts';

interface Purged {
  /** Records that were deleted. */
  readonly gone: number;
  readonly more: boolean;
  readonly isHeld: boolean;
}

/** Deletes expired records, the records of one session in one commit. */
export function keyValuePurge(database: Database): Pick<StoreDriver, 'purge' | 'expired'> {
  const purgeLeases = leasePurge(database);

  /** Sessions with a bound that is over, each once. */
  async function* due({ now, writtenBefore }: Expired): AsyncGenerator<string> {
    const seen = new Set<string>();
    const rules: readonly (readonly [Bound, number | undefined])[] = [
      ['expiry', now],
      ['birth', writtenBefore],
    ];
    for (const [bound, time] of rules) {
      if (time === undefined) continue;
      for await (const [, value] of pairsOf(database, dueRange(bound, time))) {
        const id = decodeJson(value) as string;
        if (!seen.has(id)) yield id;
        seen.add(id);
      }
    }
  }

  function purgeSession(id: string, expired: Expired, most: number): Promise<Purged> {
    return attemptOn(database, id, async (draft) => {
      const none = { gone: 0, more: false, isHeld: false };
      await draft.read(sessionKeyOf(id), heldKeyOf(id));
      const row = await draft.readJson<SessionRow>(sessionKeyOf(id));
      if (row === undefined) return none;
      if ((await openHolds(draft, id)).length > 0) return { ...none, isHeld: true };
      const pairs = await draft.list(rangeOf('item', id));
      const records = await decodeElements(pairs);
      const over = records.filter((record) => isExpired(record, expired));
      const deleted = new Set(over.slice(0, most));
      const going = pairs.filter((_, index) => deleted.has(records[index] as StoredRecord));
      for (const [key] of going) draft.remove(key);
      const left = records.filter((record) => !deleted.has(record));
      const result = { gone: going.length, more: over.length > going.length, isHeld: false };
      if (left.length === 0 && going.length > 0) {
        await removeSession(draft, row);
        return result;
      }
      const generation = going.length === 0 ? row.generation : movedOn(row.generation, newMark());
      // Also when nothing was deleted: the record that set the bound was removed, and the session would be
      // processed again.
      saveSession(draft, id, row, { ...without(row, going), ...firstTimes(left), generation });
      return result;
    });
  }

  return {
    async purge(expired, batch) {
      const sessions: string[] = [];
      let looked = 0;
      for await (const id of due(expired)) {
        if (sessions.length === batch || looked === SESSIONS_A_STEP) return { sessions, more: true };
        const { gone, more, isHeld } = await purgeSession(id, expired, batch - sessions.length);
        for (let item = 0; item < gone; item++) sessions.push(id);
        if (more) return { sessions, more: true };
        if (!isHeld) looked++;
      }
      await purgeLeases();
      return { sessions, more: false };
    },

    async expired(expired) {
      const found: { readonly id: string; readonly items: number }[] = [];
      for await (const id of due(expired)) {
        const held = await database.get([id, ...ancestorsOf(id)].map(heldKeyOf));
        if (held.some((value) => value !== undefined)) continue;
        const records = await decodeElements(await database.list(rangeOf('item', id)));
        const items = records.filter((record) => isExpired(record, expired)).length;
        if (items > 0) found.push({ id, items });
      }
      return found;
    },
  };
}
