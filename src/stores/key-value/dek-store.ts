import type { DekStore, DekTombstone, HoldStore } from '../../keys/dek-store.ts';
import type { Database } from './database.ts';
import { destroyDek, destroyDeks } from './deletion.ts';
import { attempt } from './draft.ts';
import { assertNotHeld, keyValueHolds } from './holds.ts';
import { decodeJson, rangeOf } from './layout.ts';
import { pairsOf } from './pages.ts';
import { dekKeyOf, isDestroyed, type DekRow } from './session-row.ts';

const WHAT = 'the data keys';

export function keyValueDekStore(
  database: Database,
  now: () => number,
): DekStore & { readonly holds: HoldStore } {
  return {
    put: (record) =>
      attempt(database, WHAT, async (draft) => {
        const key = dekKeyOf(record.sessionId, record.did);
        if ((await draft.readJson<DekRow>(key)) !== undefined) return false;
        const { sessionId, did, kid, wrapped, createdAt } = record;
        draft.putJson(key, { sessionId, did, kid, wrapped, createdAt } satisfies DekRow);
        return true;
      }),

    async get(sessionId, did) {
      const [value] = await database.get([dekKeyOf(sessionId, did)]);
      return value === undefined ? undefined : (decodeJson(value) as DekRow);
    },

    async *list({ sessionId, kid } = {}) {
      const range = sessionId === undefined ? rangeOf('dek') : rangeOf('dek', sessionId);
      for await (const [, value] of pairsOf(database, range)) {
        const row = decodeJson(value) as DekRow;
        if (!isDestroyed(row) && (kid === undefined || row.kid === kid)) yield row;
      }
    },

    replaceWrapped: (sessionId, did, expected, next) =>
      attempt(database, WHAT, async (draft) => {
        const key = dekKeyOf(sessionId, did);
        const row = await draft.readJson<DekRow>(key);
        if (row === undefined || isDestroyed(row) || row.wrapped !== expected) return false;
        draft.putJson(key, { ...row, kid: next.kid, wrapped: next.wrapped } satisfies DekRow);
        return true;
      }),

    destroy: (sessionId, did) =>
      attempt(database, WHAT, async (draft): Promise<readonly DekTombstone[]> => {
        await assertNotHeld(draft, sessionId);
        if (did === undefined) return await destroyDeks(draft, sessionId, now());
        return await destroyDek(draft, sessionId, did, now());
      }),

    holds: keyValueHolds(database),
  };
}
