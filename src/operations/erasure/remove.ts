import { ancestorsOf, lineageOf } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import { openHoldOn, type DekStore } from '../../keys/dek-store.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import type { KeyPlaces } from '../key-places.ts';
import { destroyUnneeded, keysOfOthers } from '../shared-keys.ts';
import type { EraseOptions, ErasedKey, ErasedSession } from './report.ts';

/** The target of an erasure. */
export interface ErasureTarget {
  readonly maintenance: Maintenance;
  readonly places: KeyPlaces;
  /** Deletes one session, as a call of its own on a wrapped store. */
  readonly remove: (id: string) => Promise<void>;
}

/** The sessions that an erasure removed. */
export interface Removed {
  readonly sessions: ErasedSession[];
  readonly held: string[];
}

/** Erases sessions with their derived sessions, the deepest first, so that an interrupted run can be repeated. */
export async function eraseTrees(
  target: ErasureTarget,
  ids: readonly string[],
  { signal, onProgress }: { readonly [K in 'signal' | 'onProgress']?: EraseOptions[K] | undefined } = {},
): Promise<Removed> {
  const { maintenance, places } = target;
  // A session that is derived from another of them is erased with it.
  const tops = ids.filter((id) => !ancestorsOf(id).some((above) => ids.includes(above)));
  const left = await keysWithoutRows(places.stores, tops);
  const removed: Removed = { sessions: [], held: [] };
  for (const [done, top] of tops.entries()) {
    signal?.throwIfAborted();
    if (done > 0) onProgress?.({ done, total: tops.length });
    const tree = await maintenance.tree(top);
    const all = [...new Set([...(left.get(top) ?? []), ...tree])].toSorted(deepestFirst);
    if (await isHeld(target, [...all, top])) {
      removed.held.push(top);
      continue;
    }
    try {
      // All keys before any row: keys in sessions of the same store are among the rows.
      const sessions: ErasedSession[] = [];
      const needed = await keysOfOthers(
        [...all, top],
        async (root) => maintenance.derived(root),
        async (id) => maintenance.records(id),
      );
      for (const id of [...all, top]) sessions.push(await takeKeys(target, id, needed.get(id)));
      for (const session of sessions) {
        await target.remove(session.id);
        for (const { did } of session.keys) places.forget(session.id, did);
        removed.sessions.push(session);
      }
    } catch (error) {
      // A hold was placed meanwhile.
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      removed.held.push(top);
    }
  }
  if (tops.length > 0) onProgress?.({ done: tops.length, total: tops.length });
  return removed;
}

function deepestFirst(one: string, other: string): number {
  return ancestorsOf(other).length - ancestorsOf(one).length;
}

/** A purge removes the row of a session that it emptied, but not its keys. */
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
      // A store that can only list the keys of a given session.
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

/** The session to erase, after destroying its keys that are not in the database of the rows. */
async function takeKeys(
  { maintenance, places }: ErasureTarget,
  id: string,
  needed: ReadonlySet<string> | undefined,
): Promise<ErasedSession> {
  const keys: ErasedKey[] = [];
  for (const store of places.stores) {
    for await (const { did, kid } of store.list({ sessionId: id }))
      if (needed?.has(did) !== true) keys.push({ did, kid });
  }
  const records = (await maintenance.records(id)).length;
  for (const store of places.stores)
    if (store !== maintenance.dekStore) await destroyUnneeded(store, id, needed);
  return { id, kind: lineageOf(id)?.kind ?? 'conversation', records, keys };
}
