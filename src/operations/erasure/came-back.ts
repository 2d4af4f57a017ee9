import type { DekStore } from '../../keys/dek-store.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import { isMadeAnew } from './made-anew.ts';
import { erasureAbove, ownErasure } from './tombstones.ts';

/**
 * When a session was erased of which there are records from before: by its own erasure, or by that of a session that
 * it was derived from, in Unix milliseconds; `undefined` if there are none.
 *
 * @param tombstones Where erasures are recorded.
 * @param maintenance Where the session is.
 */
export async function erasedBefore(
  tombstones: DekStore,
  maintenance: Maintenance,
  { id, firstAt }: Pick<SessionSummary, 'id' | 'firstAt'>,
): Promise<number | undefined> {
  const [own, above] = [await ownErasure(tombstones, id), await erasureAbove(tombstones, id)];
  // With its conversation, all records of a branch were erased.
  if (above !== undefined && firstAt <= above) return Math.max(above, own ?? above);
  if (own === undefined || firstAt > own) return undefined;
  return (await isMadeAnew(maintenance, id, await maintenance.records(id), own)) ? undefined : own;
}
