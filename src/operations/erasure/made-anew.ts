import { derivedId, isBranch, parseDerivedId } from '../../derived-id.ts';
import { stateOf } from '../../history/branches/state.ts';
import type { StoredRecord } from '../../stores/driver.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import { UNREADABLE_TIME } from '../../stores/record.ts';

/**
 * Whether a branch that was erased is not the erased one: it was made again, and its old records are those of the
 * conversation, with which it begins. Where the store cannot share records, these are copies of the branch's own, so
 * there a branch is judged like every other session.
 *
 * @param erasedAt Unix milliseconds.
 */
export async function isMadeAnew(
  maintenance: Pick<Maintenance, 'notes'>,
  id: string,
  records: readonly StoredRecord[],
  erasedAt: number,
): Promise<boolean> {
  if (!isBranch(id)) return false;
  const own = records.filter(({ origin = id }) => origin === id);
  if (own.some(({ writtenAt }) => writtenAt <= erasedAt || writtenAt >= UNREADABLE_TIME)) return false;
  const { of = '', name = '' } = parseDerivedId(id) ?? {};
  const state = stateOf(await maintenance.notes.read(derivedId({ kind: 'branches', of })));
  const created = state.branches.get(name)?.created;
  return created === undefined ? own.length > 0 : created > erasedAt;
}
