import { lineageOf, rootOf } from '../derived-id.ts';
import type { DekStore } from '../keys/dek-store.ts';

/** The session that a record was written for, if it is another one, and its data key. */
export interface SharedRecord {
  readonly origin?: string | undefined;
  readonly did?: string | null | undefined;
}

/** The ids of the other histories that can have records of a session: its conversation and the branches of that. */
export async function kinOf(
  sessionId: string,
  derived: (root: string) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const { kind, parent } = lineageOf(sessionId) ?? {};
  const trunk = kind === 'branch' && parent !== undefined ? parent : sessionId;
  const branches = (await derived(rootOf(sessionId))).filter((id) => {
    const lineage = lineageOf(id);
    return lineage?.kind === 'branch' && lineage.parent === trunk;
  });
  return [trunk, ...branches].filter((id) => id !== sessionId);
}

/**
 * The data keys of sessions that are about to lose them, by session, which records of other histories need: branches
 * that share these records, or have taken them over.
 */
export async function keysOfOthers(
  going: readonly string[],
  derived: (root: string) => Promise<readonly string[]>,
  records: (id: string) => Promise<readonly SharedRecord[]>,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const needed = new Map(going.map((id) => [id, new Set<string>()]));
  const others = new Set<string>();
  // Once for each conversation: a tree of many branches would list itself for each of them.
  const known = new Map<string, readonly string[]>();
  const listOnce = async (root: string): Promise<readonly string[]> => {
    const list = known.get(root) ?? (await derived(root));
    known.set(root, list);
    return list;
  };
  for (const id of going) for (const other of await kinOf(id, listOnce)) others.add(other);
  for (const other of others) {
    if (needed.has(other)) continue;
    for (const { origin, did } of await records(other))
      if (origin !== undefined && typeof did === 'string') needed.get(origin)?.add(did);
  }
  return needed;
}

/** Destroys the data keys of a session, except for those that others need. */
export async function destroyUnneeded(
  store: DekStore,
  sessionId: string,
  needed: ReadonlySet<string> | undefined,
): Promise<readonly { readonly did: string }[]> {
  if (needed === undefined || needed.size === 0) return store.destroy(sessionId);
  const dids: string[] = [];
  for await (const { did } of store.list({ sessionId })) if (!needed.has(did)) dids.push(did);
  const destroyed: { readonly did: string }[] = [];
  for (const did of dids) destroyed.push(...(await store.destroy(sessionId, did)));
  return destroyed;
}
