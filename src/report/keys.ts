import { defined } from '../defined.ts';
import { ancestorsOf } from '../derived-id.ts';
import { isStrongroomError } from '../errors.ts';
import type { DekRecord, DekStore } from '../keys/dek-store.ts';
import type { Keyring } from '../keys/keyring.ts';
import { parseWrappedKey } from '../keys/wrapped-key.ts';
import { isKey } from '../operations/erasure/tombstones.ts';
import type { StoredRecord } from '../stores/driver.ts';
import { DAY } from './classes.ts';
import type { KeyAge, ReportedKey, ReportedKeys } from './types.ts';

/** Counts the use of keys, by the records first and then by the places of data keys. */
export interface KeyCount {
  add(sessionId: string, records: readonly StoredRecord[]): void;
  /** Reads the places: after the records, because a key is stored before the first record under it. */
  result(stores: readonly DekStore[], keys: Keyring | undefined): Promise<ReportedKeys>;
}

interface Use {
  dataKeys: number;
  records: number;
  oldestAt: number | undefined;
  newestAt: number | undefined;
  readonly sessions: Set<string>;
}

export function countKeys(now: number): KeyCount {
  /** Records of each data key that is not in them, and one session that has some. */
  const named = new Map<string, { readonly sessionId: string; records: number }>();
  const uses = new Map<string, Use>();
  const inline = new Set<string>();

  const useOf = (kid: string): Use => {
    const found = uses.get(kid) ?? {
      dataKeys: 0,
      records: 0,
      oldestAt: undefined,
      newestAt: undefined,
      sessions: new Set(),
    };
    uses.set(kid, found);
    return found;
  };

  return {
    add(sessionId, records) {
      for (const { did, wrapped } of records) {
        if (did === null) continue;
        const kid = wrapped === null ? undefined : kidOf(wrapped);
        if (kid === undefined) {
          const before = named.get(did) ?? { sessionId, records: 0 };
          before.records++;
          named.set(did, before);
          continue;
        }
        const use = useOf(kid);
        use.records++;
        use.sessions.add(sessionId);
        if (!inline.has(did)) use.dataKeys++;
        inline.add(did);
      }
    },
    async result(stores, keys) {
      const ages = keyAges();
      const sessions = new Set([...named.values()].map(({ sessionId }) => sessionId));
      const seen = new Set<string>();
      for (const store of stores) {
        for await (const { sessionId, did, kid, createdAt } of keysIn(store, sessions)) {
          if (seen.has(did)) continue;
          seen.add(did);
          const use = useOf(kid);
          use.dataKeys++;
          use.sessions.add(sessionId);
          use.records += named.get(did)?.records ?? 0;
          use.oldestAt = Math.min(use.oldestAt ?? createdAt, createdAt);
          use.newestAt = Math.max(use.newestAt ?? createdAt, createdAt);
          ages.add(now - createdAt);
        }
      }
      const destroyed = { dataKeys: 0, records: 0 };
      const missing = { dataKeys: 0, records: 0 };
      for (const [did, { sessionId, records }] of named) {
        if (seen.has(did) || inline.has(did)) continue;
        const sum = (await isDestroyed(stores, sessionId, did)) ? destroyed : missing;
        sum.dataKeys++;
        sum.records += records;
      }
      return { keys: reported(uses, keys), ages: ages.result(), destroyed, missing };
    },
  };
}

/** Every key of the ring, also one without any use, and every key that something needs. */
function reported(uses: ReadonlyMap<string, Use>, ring: Keyring | undefined): ReportedKey[] {
  const kids = new Set([...(ring?.keys().map(({ kid }) => kid) ?? []), ...uses.keys()]);
  return [...kids]
    .map((kid): ReportedKey => {
      const { sessions, ...use } = uses.get(kid) ?? {
        dataKeys: 0,
        records: 0,
        oldestAt: undefined,
        newestAt: undefined,
        sessions: new Set(),
      };
      return defined({
        kid,
        state: ring === undefined ? undefined : (ring.state(kid) ?? ('unknown' as const)),
        opens: ring === undefined ? undefined : opens(ring, kid),
        sessions: sessions.size,
        ...use,
      });
    })
    .toSorted((one, other) => other.dataKeys - one.dataKeys || (one.kid < other.kid ? -1 : 1));
}

function opens(ring: Keyring, kid: string): boolean {
  try {
    ring.checkOpens(kid);
    return true;
  } catch (error) {
    if (isStrongroomError(error)) return false;
    throw error;
  }
}

/** All keys of the place; of one that cannot list them, those of the sessions. */
async function* keysIn(store: DekStore, sessions: ReadonlySet<string>): AsyncGenerator<DekRecord> {
  try {
    for await (const record of store.list()) if (isKey(record)) yield record;
    return;
  } catch (error) {
    if (!isStrongroomError(error) || error.code !== 'ERR_UNSUPPORTED') throw error;
  }
  for (const sessionId of sessions) {
    for await (const record of store.list({ sessionId })) if (isKey(record)) yield record;
  }
}

/** A branch has records under the data keys of its conversation. */
async function isDestroyed(stores: readonly DekStore[], sessionId: string, did: string): Promise<boolean> {
  for (const store of stores) {
    for (const id of [sessionId, ...ancestorsOf(sessionId)]) {
      const found = await store.get(id, did);
      if (found !== undefined && 'destroyedAt' in found) return true;
    }
  }
  return false;
}

/** `undefined` for a wrapped key that cannot be read: reading the session reports the error. */
function kidOf(wrapped: string): string | undefined {
  try {
    return parseWrappedKey(wrapped).kid;
  } catch {
    return undefined;
  }
}

const KEY_AGES = [0, 1, 7, 30, 90, 180, 365].map((days) => days * DAY);

function keyAges(): { add(age: number): void; result(): KeyAge[] } {
  const counts = KEY_AGES.map(() => 0);
  return {
    add(age) {
      const index = Math.max(
        KEY_AGES.findLastIndex((from) => from <= age),
        0,
      );
      counts[index] = (counts[index] ?? 0) + 1;
    },
    result: () =>
      counts.map((dataKeys, index) => defined({ from: KEY_AGES[index], to: KEY_AGES[index + 1], dataKeys })),
  };
}
