import { ancestorsOf, lineageOf, rootOf } from '../derived-id.ts';
import { getOrMake } from '../get-or-make.ts';
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

/** Of these sessions together. A conversation is listed once: a tree of many branches would list itself for each of them. */
async function kinOfAll(
  ids: readonly string[],
  derived: (root: string) => Promise<readonly string[]>,
): Promise<ReadonlySet<string>> {
  const lists = new Map<string, Promise<readonly string[]>>();
  const listOnce = (root: string): Promise<readonly string[]> => getOrMake(lists, root, () => derived(root));
  return new Set((await Promise.all(ids.map(async (id) => kinOf(id, listOnce)))).flat());
}

/**
 * Sessions that are removed one after the other, each after the layers were asked about it. Until then a session loses
 * no data key that it needs, also none of the sessions before it: branches share records, or have taken them over.
 */
export interface Departure {
  /** The data keys of a session that histories need which are not removed. */
  kept(sessionId: string): ReadonlySet<string>;
  /**
   * This session is removed now.
   *
   * @returns Sessions whose data keys are destroyed with it, and which of their keys the remaining histories need:
   * itself, and earlier ones with keys that it needed.
   */
  leave(sessionId: string): ReadonlyMap<string, ReadonlySet<string>>;
}

export async function departureOf(
  going: readonly string[],
  derived: (root: string) => Promise<readonly string[]>,
  records: (id: string) => Promise<readonly SharedRecord[]>,
): Promise<Departure> {
  /** By session and data key: the other histories that have records of it. */
  const users = new Map(going.map((id) => [id, new Map<string, Set<string>>()]));
  const histories = new Set(going);
  for (const other of await kinOfAll(going, derived)) histories.add(other);
  for (const history of histories) {
    for (const { origin, did } of await records(history)) {
      const keys = origin === undefined ? undefined : users.get(origin);
      if (keys !== undefined && typeof did === 'string')
        keys.set(did, (keys.get(did) ?? new Set()).add(history));
    }
  }

  const usersOf = (id: string): [string, Set<string>][] => [...(users.get(id) ?? [])];
  const neededOf = (id: string, gone: ReadonlySet<string>): ReadonlySet<string> =>
    new Set(
      usersOf(id)
        .filter(([, others]) => [...others].some((other) => !gone.has(other)))
        .map(([did]) => did),
    );
  const all = new Set(going);
  const gone = new Set<string>();
  return {
    kept: (sessionId) => neededOf(sessionId, all),
    leave(sessionId) {
      gone.add(sessionId);
      const losing = [...gone].filter(
        (id) => id === sessionId || usersOf(id).some(([, others]) => others.has(sessionId)),
      );
      return new Map(losing.map((id) => [id, neededOf(id, gone)]));
    },
  };
}

/** How often histories are looked for that were made during the look before. */
const MOST_LOOKS = 10;

/**
 * The data keys that the remaining histories need now: asked for immediately before a destruction, when the records of the
 * leaving sessions are gone, so that no further history can begin with them.
 *
 * @param going The leaving sessions. What belongs to them leaves with them.
 */
export async function neededNow(
  going: readonly string[],
  derived: (root: string) => Promise<readonly string[]>,
  records: (id: string) => Promise<readonly SharedRecord[]>,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const needed = new Map(going.map((id) => [id, new Set<string>()]));
  const looked = new Set<string>();
  const isGoing = (id: string): boolean =>
    needed.has(id) || ancestorsOf(id).some((above) => needed.has(above));
  // A history that was made meanwhile can have the records of one that was not, or is no longer, looked at.
  for (let look = 0; look < MOST_LOOKS; look++) {
    const unseen = [...(await kinOfAll(going, derived))].filter((id) => !looked.has(id) && !isGoing(id));
    if (unseen.length === 0) break;
    for (const history of unseen) {
      looked.add(history);
      for (const { origin, did } of await records(history))
        if (origin !== undefined && typeof did === 'string') needed.get(origin)?.add(did);
    }
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
