import { ancestorsOf, isBranch, lineageOf, rootOf } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import { openHoldOn, type DekStore } from '../../keys/dek-store.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import { UNREADABLE_TIME } from '../../stores/record.ts';
import type { KeyPlaces } from '../key-places.ts';
import { openHold } from '../holds.ts';
import { departureOf, destroyUnneeded, neededNow } from '../shared-keys.ts';
import type { EraseOptions, ErasedKey, ErasedSession } from './report.ts';
import { announceErasure, isKey, recordErasure } from './tombstones.ts';
import type { Removal, Unfinished } from './unfinished.ts';

/** The target of an erasure. */
export interface ErasureTarget {
  readonly maintenance: Maintenance;
  readonly places: KeyPlaces;
  /**
   * Deletes this one session and none that belongs to it, as a call of its own on a wrapped store. `before` runs
   * first, inside of the call: when the layers refuse it, nothing was destroyed.
   */
  readonly remove: (id: string, before: () => Promise<void>) => Promise<void>;
  /** Removes the records of a session that {@link remove} is about to delete. */
  readonly clear: (id: string) => Promise<void>;
}

/** The sessions that an erasure removed. */
export interface Removed {
  readonly sessions: ErasedSession[];
  readonly held: string[];
  /** The time of the newest record or data key of them, by the clock of its writer. */
  newest: number | undefined;
}

interface EraseTreesOptions extends Pick<Partial<EraseOptions>, 'signal' | 'onProgress'> {
  /** They are all that a conversation has: a hold anywhere in it keeps them, also when it has no row of its own any more. */
  readonly whole: boolean;
  readonly unfinished: Unfinished;
}

/** Erases sessions with their derived sessions, the deepest first, so that an interrupted run can be repeated. */
export async function eraseTrees(
  target: ErasureTarget,
  ids: readonly string[],
  { signal, onProgress, whole, unfinished }: EraseTreesOptions,
): Promise<Removed> {
  const { maintenance, places } = target;
  // A session that is derived from another of them is erased with it.
  const tops = ids.filter((id) => !ancestorsOf(id).some((above) => ids.includes(above)));
  const left = await keysWithoutRows(places.stores, tops);
  const removed: Removed = { sessions: [], held: [], newest: undefined };
  for (const removal of await unfinished.before()) count(removed, removal);
  for (const [done, top] of tops.entries()) {
    signal?.throwIfAborted();
    if (done > 0) onProgress?.({ done, total: tops.length });
    try {
      const tree = new Set([...(left.get(top) ?? []), ...(await maintenance.tree(top))]);
      const going = [...[...tree].toSorted(deepestFirst), top];
      if (await isHeld(target, whole ? [...going, rootOf(top)] : going)) {
        removed.held.push(top);
        continue;
      }
      const leaving = await leavingOf(target, going, top);
      await unfinished.note(leaving);
      await removeThese(target, leaving.slice(0, -1), removed);
      // Once more, for what another process made meanwhile. No third time, and not for more than that: one that is faster
      // would never let it end. The search reports the rest.
      const late = await maintenance.tree(top);
      if (late.length > 0 && late.length <= going.length) {
        const lateLeaving = await leavingOf(target, late, top);
        await unfinished.note(lateLeaving);
        await removeThese(target, lateLeaving, removed);
      }
      await removeThese(target, leaving.slice(-1), removed);
    } catch (error) {
      // A hold was placed meanwhile.
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      removed.held.push(top);
    }
  }
  if (tops.length > 0) onProgress?.({ done: tops.length, total: tops.length });
  return removed;
}

/** A session to erase. */
interface Leaving extends Removal {
  /** Destroys the data keys that nobody needs after it, where they are not in the database of the rows. */
  readonly destroyKeys: () => Promise<void>;
}

/** All are looked at before one is erased: data keys in sessions of the same store are among the rows. */
async function leavingOf(
  { maintenance, places, clear }: ErasureTarget,
  ids: readonly string[],
  top: string,
): Promise<Leaving[]> {
  const derived = async (root: string): Promise<readonly string[]> => maintenance.derived(root);
  const elsewhere = places.stores.filter((store) => store !== maintenance.dekStore);
  const counts = new Map<string, number>();
  const newest = new Map<string, number>();
  const note = (id: string, time: number): void => {
    if (time < UNREADABLE_TIME) newest.set(id, Math.max(newest.get(id) ?? time, time));
  };
  const departure = await departureOf(ids, derived, async (id) => {
    const records = await maintenance.records(id);
    counts.set(id, records.length);
    for (const { writtenAt } of records) note(id, writtenAt);
    return records;
  });
  const leaving: Leaving[] = [];
  for (const id of ids) {
    const keys: ErasedKey[] = [];
    const kept = departure.kept(id);
    for (const store of places.stores)
      for await (const record of store.list({ sessionId: id })) {
        const { did, kid, createdAt } = record;
        if (kept.has(did) || !isKey(record)) continue;
        keys.push({ did, kid });
        note(id, createdAt);
      }
    const kind = lineageOf(id)?.kind ?? 'conversation';
    leaving.push({
      session: { id, kind, records: counts.get(id) ?? 0, keys },
      newest: newest.get(id),
      async destroyKeys() {
        const losing = departure.leave(id);
        if (elsewhere.length === 0) return;
        let now: ReadonlyMap<string, ReadonlySet<string>> | undefined;
        if (id === top && isBranch(top)) {
          // First, so that no branch begins with its records between the look at who needs their keys and the destruction.
          for (const store of elsewhere) await openHold(store, id);
          await clear(id);
          now = await neededNow(ids, derived, async (other) => maintenance.records(other));
        }
        for (const [owner, needed] of losing)
          for (const store of elsewhere) await destroyUnneeded(store, owner, now?.get(owner) ?? needed);
      },
    });
  }
  return leaving;
}

async function removeThese(
  { maintenance, places, remove }: ErasureTarget,
  leaving: readonly Leaving[],
  removed: Removed,
): Promise<void> {
  // Not in sessionDekStore(), whose log of keys would be created again beside the session.
  const registers = places.stores.filter((store) => store.holds !== undefined);
  for (const { destroyKeys, session: left, newest } of leaving) {
    await remove(left.id, async () => {
      for (const store of registers) await announceErasure(store, left.id, maintenance.now(), newest);
      await destroyKeys();
    });
    for (const store of registers) await recordErasure(store, left.id);
    const session = isBranch(left.id) ? { ...left, keys: await destroyedOf(places, left) } : left;
    for (const { did } of session.keys) places.forget(session.id, did);
    count(removed, { session, newest });
  }
}

/** The keys of a removed session without those that a history needs which another process made meanwhile. */
async function destroyedOf(
  { stores }: KeyPlaces,
  { id, keys }: ErasedSession,
): Promise<readonly ErasedKey[]> {
  const live = new Set<string>();
  if (keys.length > 0)
    for (const store of stores) for await (const { did } of store.list({ sessionId: id })) live.add(did);
  return keys.filter(({ did }) => !live.has(did));
}

function count(removed: Removed, { session, newest }: Removal): void {
  if (newest !== undefined) removed.newest = Math.max(removed.newest ?? newest, newest);
  const at = removed.sessions.findIndex(({ id }) => id === session.id);
  const before = removed.sessions[at];
  if (before === undefined) removed.sessions.push(session);
  // It was made again meanwhile.
  else
    removed.sessions[at] = {
      ...before,
      records: before.records + session.records,
      keys: [...before.keys, ...session.keys],
    };
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
    // A held session without a row is not in the tree.
    const open = (await store.holds?.list({ open: true })) ?? [];
    if (open.some(({ sessionId }) => ancestorsOf(sessionId).some((id) => ids.includes(id)))) return true;
  }
  return false;
}
