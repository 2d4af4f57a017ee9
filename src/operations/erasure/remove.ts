import { ancestorsOf, lineageOf } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import { openHoldOn, type DekStore } from '../../keys/dek-store.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import type { KeyPlaces } from '../key-places.ts';
import type { ErasedKey, ErasedSession } from './report.ts';

/** What an erasure works on. */
export interface ErasureTarget {
  readonly maintenance: Maintenance;
  readonly places: KeyPlaces;
  /** Deletes one session, as a call of its own on a wrapped store. */
  readonly remove: (id: string) => Promise<void>;
}

/** What an erasure removed. */
export interface Removed {
  readonly sessions: ErasedSession[];
  readonly held: string[];
}

/** Erases sessions with all that belongs to them: what was made from others first, so that a run that was cut off is run again. */
export async function eraseTrees(target: ErasureTarget, ids: readonly string[]): Promise<Removed> {
  const { maintenance, places } = target;
  // One that belongs to another of them goes with that one.
  const tops = ids.filter((id) => !ancestorsOf(id).some((above) => ids.includes(above)));
  const left = await keysWithoutRows(places.stores, tops);
  const removed: Removed = { sessions: [], held: [] };
  for (const top of tops) {
    const tree = await maintenance.tree(top);
    const all = [...new Set([...(left.get(top) ?? []), ...tree])].toSorted(deepestFirst);
    if (await isHeld(target, [...all, top])) {
      removed.held.push(top);
      continue;
    }
    try {
      // All keys before any row: where they are kept in sessions of the same store, those are among the rows.
      const sessions: ErasedSession[] = [];
      for (const id of [...all, top]) sessions.push(await takeKeys(target, id));
      for (const session of sessions) {
        await target.remove(session.id);
        for (const { did } of session.keys) places.forget(session.id, did);
        removed.sessions.push(session);
      }
    } catch (error) {
      // A hold that was placed meanwhile.
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      removed.held.push(top);
    }
  }
  return removed;
}

function deepestFirst(one: string, other: string): number {
  return ancestorsOf(other).length - ancestorsOf(one).length;
}

/** A purge takes the row of a session that it emptied, and leaves its keys. */
async function keysWithoutRows(
  stores: readonly DekStore[],
  tops: readonly string[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const found = new Map(tops.map((top) => [top, new Set<string>()]));
  for (const store of stores) {
    try {
      for await (const { sessionId } of store.list()) {
        for (const above of ancestorsOf(sessionId)) found.get(above)?.add(sessionId);
      }
    } catch (error) {
      // One that only knows the keys of a session that it is asked for.
      if (!isStrongroomError(error) || error.code !== 'ERR_UNSUPPORTED') throw error;
    }
  }
  return found;
}

async function isHeld({ maintenance, places }: ErasureTarget, ids: readonly string[]): Promise<boolean> {
  try {
    await maintenance.assertNotHeld(ids);
  } catch (error) {
    if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
    return true;
  }
  for (const store of places.stores) {
    if (store === maintenance.dekStore) continue;
    for (const id of ids) if ((await openHoldOn(store, id)) !== undefined) return true;
  }
  return false;
}

/** What is going to be erased, with its keys destroyed where they are not in the database of the rows. */
async function takeKeys({ maintenance, places }: ErasureTarget, id: string): Promise<ErasedSession> {
  const keys: ErasedKey[] = [];
  for (const store of places.stores) {
    for await (const { did, kid } of store.list({ sessionId: id })) keys.push({ did, kid });
  }
  const records = (await maintenance.records(id)).length;
  for (const store of places.stores) if (store !== maintenance.dekStore) await store.destroy(id);
  return { id, kind: lineageOf(id)?.kind ?? 'conversation', records, keys };
}
