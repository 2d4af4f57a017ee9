import { lineageOf } from '../derived-id.ts';
import type { Maintenance } from './maintenance.ts';

/** What `deleteSession()` of a store reached. */
export interface DeletionReport {
  /** How many sessions that belonged to it went with it, by kind: branches, archives, ledgers, vaults, … */
  readonly derived: Readonly<Record<string, number>>;
}

/**
 * Deletes a session and all that belongs to it: what was made from others first, so that what is left after a crash is still
 * found from the top.
 *
 * @param remove Deletes one session.
 * @throws {@link StrongroomError} `ERR_HELD`.
 */
export async function deleteTree(
  { tree, assertNotHeld }: Pick<Maintenance, 'tree' | 'assertNotHeld'>,
  id: string,
  remove: (id: string) => Promise<unknown>,
): Promise<DeletionReport> {
  const derived = await tree(id);
  await assertNotHeld([...derived, id]);
  for (const each of derived) await remove(each);
  await remove(id);
  return { derived: countKinds(derived) };
}

/** How many sessions there are of each kind. */
export function countKinds(ids: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const id of ids) {
    const kind = lineageOf(id)?.kind;
    if (kind !== undefined) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
