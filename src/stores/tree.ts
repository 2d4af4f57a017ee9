import { lineageOf } from '../derived-id.ts';
import type { Maintenance } from './maintenance.ts';

/** What `deleteSession()` of a store reached. */
export interface DeletionReport {
  /** How many sessions that belonged to it went with it, by kind: branches, archives, ledgers, vaults, … */
  readonly derived: Readonly<Record<string, number>>;
}

/** After that many somebody is always faster, and what is made later is as new as a session that is written to after its deletion. */
const ROUNDS = 5;

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
  const derived: string[] = [];
  // Others may go on making some while these go.
  for (let round = 0; round < ROUNDS; round++) {
    const found = await tree(id);
    if (round > 0 && found.length === 0) break;
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
