import { lineageOf } from '../derived-id.ts';
import type { Maintenance } from './maintenance.ts';

/** The result of `deleteSession()` of a store. */
export interface DeletionReport {
  /** How many derived sessions were deleted with it, by kind: branches, archives, ledgers, vaults, … */
  readonly derived: Readonly<Record<string, number>>;
}

/**
 * A derived session that is made after the last round counts as new, like a session that is written to after its
 * deletion.
 */
const ROUNDS = 5;

/*
 * A writer that makes derived sessions faster than they are deleted would make each round longer than the one before:
 * the rounds end when there are more to delete than before.
 */

/**
 * Deletes a session and its derived sessions, the deepest first, so that after a crash the rest is still found from
 * the root.
 *
 * @param remove Deletes one session.
 * @throws {@link StrongroomError} `ERR_HELD`.
 */
export async function deleteTree(
  { tree, assertNotHeld }: Pick<Maintenance, 'tree' | 'assertNotHeld'>,
  id: string,
  remove: (id: string) => Promise<unknown>,
): Promise<DeletionReport> {
  const derived: string[] = [];
  let before = 0;
  // Other processes may make derived sessions during the deletion.
  for (let round = 0; round < ROUNDS; round++) {
    const found = await tree(id);
    if (round > 0 && (found.length === 0 || found.length > before)) break;
    before = found.length;
    await assertNotHeld([...found, id]);
    for (const each of found) await remove(each);
    derived.push(...found);
  }
  await remove(id);
  return { derived: countKinds([...new Set(derived)]) };
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
