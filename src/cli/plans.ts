import { ancestorsOf } from '../derived-id.ts';
import { isStrongroomError } from '../errors.ts';
import { heldError } from '../keys/dek-store.ts';
import { asCall } from '../operations/as-call.ts';
import { keyPlacesOf } from '../operations/key-places.ts';
import type { Store } from '../stores/store.ts';
import type { Context } from './command.ts';

/** Looks into the store for a dry run: a read for `authorize()` and `audit()`, because nothing is done. */
export async function looking<T>({ origin }: Context, store: Store, work: () => Promise<T>): Promise<T> {
  return asCall(store, 'checkKeys', origin, work);
}

/** What a command counts before it begins: the same look in a dry run, else a part of the calls that follow. */
export async function countedFirst<T>(context: Context, store: Store, count: () => Promise<T>): Promise<T> {
  return context.dryRun ? looking(context, store, count) : count();
}

/** @throws {@link StrongroomError} `ERR_HELD` when a removal of one of these sessions is refused, in any place that keeps holds. */
export async function assertNotHeld(store: Store, ids: readonly string[]): Promise<void> {
  const removed = new Set(ids);
  // A hold covers what is derived from its session, and stops the removal of what that is derived from.
  const above = new Set(ids.flatMap((id) => ancestorsOf(id)));
  for (const place of (await keyPlacesOf('hold', store)).stores) {
    const open = (await place.holds?.list({ open: true })) ?? [];
    const found = open.find(
      ({ sessionId }) =>
        [sessionId, ...ancestorsOf(sessionId)].some((id) => removed.has(id)) || above.has(sessionId),
    );
    if (found !== undefined) throw heldError(found.sessionId, found.id);
  }
}

/** The same as an answer. */
export async function isHeld(store: Store, ids: readonly string[]): Promise<boolean> {
  try {
    await assertNotHeld(store, ids);
    return false;
  } catch (error) {
    if (isStrongroomError(error) && error.code === 'ERR_HELD') return true;
    throw error;
  }
}
