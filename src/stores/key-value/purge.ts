import type { Expired, StoreDriver, StoredRecord } from '../driver.ts';
import { firstTimes, SESSIONS_A_STEP } from '../first-times.ts';
import { MARKS, newMark } from '../marks.ts';
import type { Database } from './checked.ts';
import { removeSession } from './deletion.ts';
import { attempt } from './draft.ts';
import { decodeElement } from './element.ts';
import { heldKeyOf, openHolds } from './holds.ts';
import { after, decodeJson, dueRange, rangeOf, type Bound } from './layout.ts';
import { leasePurge } from './leases.ts';
import { saveSession, sessionKeyOf, without, type SessionRow } from './session-row.ts';

const PAGE = 100;

interface Purged {
  /** Records that went. */
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
      for (let range = dueRange(bound, time); ;) {
        const page = await database.list({ ...range, limit: PAGE });
        for (const [, value] of page) {
          const id = decodeJson(value) as string;
          if (!seen.has(id)) yield id;
          seen.add(id);
        }
        const [last] = page.at(-1) ?? [];
        if (last === undefined || page.length < PAGE) break;
        range = after(range, last);
      }
    }
  }

  function purgeSession(id: string, expired: Expired, most: number): Promise<Purged> {
    return attempt(database, `session ${JSON.stringify(id)}`, async (draft) => {
      const none = { gone: 0, more: false, isHeld: false };
      await draft.read(sessionKeyOf(id), heldKeyOf(id));
      const row = await draft.readJson<SessionRow>(sessionKeyOf(id));
      if (row === undefined) return none;
      if ((await openHolds(draft, id)).length > 0) return { ...none, isHeld: true };
      const records = (await draft.list(rangeOf('item', id))).map((pair) => ({
        pair,
        record: decodeElement(pair[1], id),
      }));
      const over = records.filter(({ record }) => isExpired(record, expired));
      const going = new Set(over.slice(0, most));
      for (const { pair } of going) draft.remove(pair[0]);
      const left = records.filter((each) => !going.has(each)).map(({ record }) => record);
      const result = { gone: going.size, more: over.length > going.size, isHeld: false };
      if (left.length === 0 && going.size > 0) {
        await removeSession(draft, row);
        return result;
      }
      // Also where nothing was deleted: what set the bound is gone, and the session would be looked through again.
      const next = {
        ...without(
          row,
          Array.from(going, ({ pair }) => pair),
        ),
        ...firstTimes(left),
      };
      const generation = going.size === 0 ? row.generation : (row.generation + newMark()) % MARKS;
      saveSession(draft, id, row, { ...next, generation });
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
        const [held] = await database.get([heldKeyOf(id)]);
        if (held !== undefined) continue;
        const records = (await database.list(rangeOf('item', id))).map(([, value]) =>
          decodeElement(value, id),
        );
        const items = records.filter((record) => isExpired(record, expired)).length;
        if (items > 0) found.push({ id, items });
      }
      return found;
    },
  };
}

function isExpired({ expiresAt, bornAt, writtenAt }: StoredRecord, { now, writtenBefore }: Expired): boolean {
  if (expiresAt !== null && expiresAt <= now) return true;
  return writtenBefore !== undefined && (bornAt ?? writtenAt) <= writtenBefore;
}
