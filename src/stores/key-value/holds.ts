import { defined } from '../../defined.ts';
import { ancestorsOf, lineageOf } from '../../derived-id.ts';
import { heldError, type HoldRecord, type HoldStore } from '../../keys/dek-store.ts';
import type { HeldSession } from '../driver.ts';
import type { Database } from './database.ts';
import { attempt, type Draft } from './draft.ts';
import { decodeJson, keyOf, rangeOf } from './layout.ts';

export function heldKeyOf(sessionId: string): string {
  return keyOf('held', sessionId);
}

/**
 * The commit expects that no hold was placed meanwhile.
 *
 * @throws {@link StrongroomError} `ERR_HELD`.
 */
export async function assertNotHeld(draft: Draft, sessionId: string): Promise<void> {
  const [hold] = await openHolds(draft, sessionId);
  if (hold !== undefined) throw heldError(sessionId, hold);
}

/** Ids of the open holds on a session and on those that it was made from. */
export async function openHolds(draft: Draft, sessionId: string): Promise<readonly string[]> {
  const keys = [sessionId, ...ancestorsOf(sessionId)].map(heldKeyOf);
  const values = await draft.read(...keys);
  return values.flatMap((value) => (value === undefined ? [] : (decodeJson(value) as string[])));
}

/** An open hold on one of these sessions. */
export async function openHoldIn(
  database: Database,
  sessionIds: readonly string[],
): Promise<HeldSession | undefined> {
  const values = await database.get(sessionIds.map(heldKeyOf));
  for (const [index, value] of values.entries()) {
    const [hold] = value === undefined ? [] : (decodeJson(value) as string[]);
    if (hold !== undefined) return { sessionId: sessionIds[index] as string, hold };
  }
  return undefined;
}

/** The open holds on derived sessions. */
export async function derivedHolds(database: Database): Promise<readonly HeldSession[]> {
  const holds = await keyValueHolds(database).list({ open: true });
  return holds.map(({ id, sessionId }) => ({ sessionId, hold: id })).filter(isOnDerived);
}

function isOnDerived({ sessionId }: HeldSession): boolean {
  return lineageOf(sessionId) !== undefined;
}

export function keyValueHolds(database: Database): HoldStore {
  return {
    place: (hold) =>
      attempt(database, 'the holds', async (draft) => {
        const key = keyOf('hold', hold.id);
        if ((await draft.readJson<HoldRecord>(key)) !== undefined) return false;
        draft.putJson(key, hold);
        const open = (await draft.readJson<string[]>(heldKeyOf(hold.sessionId))) ?? [];
        draft.putJson(heldKeyOf(hold.sessionId), [...open, hold.id]);
        return true;
      }),

    release: (id, releasedAt, releasedBy) =>
      attempt(database, 'the holds', async (draft) => {
        const key = keyOf('hold', id);
        const hold = await draft.readJson<HoldRecord>(key);
        if (hold === undefined || hold.releasedAt !== undefined) return hold;
        const released: HoldRecord = defined({ ...hold, releasedAt, releasedBy });
        draft.putJson(key, released);
        const open = (await draft.readJson<string[]>(heldKeyOf(hold.sessionId))) ?? [];
        const left = open.filter((each) => each !== id);
        if (left.length > 0) draft.putJson(heldKeyOf(hold.sessionId), left);
        else draft.remove(heldKeyOf(hold.sessionId));
        return released;
      }),

    async list({ sessionId, open } = {}) {
      const holds = (await database.list(rangeOf('hold'))).map(
        ([, value]) => decodeJson(value) as HoldRecord,
      );
      return holds
        .filter((hold) => sessionId === undefined || hold.sessionId === sessionId)
        .filter((hold) => open === undefined || open === (hold.releasedAt === undefined))
        .toSorted((one, other) => one.placedAt - other.placedAt);
    },
  };
}
