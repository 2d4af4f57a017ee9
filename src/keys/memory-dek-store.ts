import { clockOf } from '../clock.ts';
import { defined } from '../defined.ts';
import { ancestorsOf } from '../derived-id.ts';
import { checkOptions } from '../options.ts';
import { type HoldRecord, type DekTombstone, type DekStore, type DekRecord, heldError } from './dek-store.ts';

/** Options of {@link memoryDekStore}. */
export interface MemoryDekStoreOptions {
  /** Unix milliseconds, for tombstones. @defaultValue `Date.now` */
  readonly clock?: () => number;
}

/**
 * Data keys in the memory of this process: when it ends, they and all items that they sealed are lost. For tests,
 * and for histories that must not outlive the process.
 *
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring } from 'strongroom';
 * import { memoryDekStore } from 'strongroom/keys';
 *
 * const layer = encrypt({ keys: keyring({ current: await generateKey() }), dekStore: memoryDekStore() });
 * ```
 */
export function memoryDekStore(options: MemoryDekStoreOptions = {}): DekStore {
  checkOptions('memoryDekStore', options, ['clock']);
  const now = clockOf('memoryDekStore', options.clock);
  const records = new Map<string, DekRecord | DekTombstone>();
  const holds = new Map<string, HoldRecord>();
  const name = (sessionId: string, did: string): string => JSON.stringify([sessionId, did]);

  return {
    async put({ sessionId, did, kid, wrapped, createdAt }) {
      if (records.has(name(sessionId, did))) return false;
      records.set(name(sessionId, did), { sessionId, did, kid, wrapped, createdAt });
      return true;
    },
    async get(sessionId, did) {
      return records.get(name(sessionId, did));
    },
    async *list({ sessionId, kid } = {}) {
      for (const record of records.values()) {
        if (!('wrapped' in record)) continue;
        if (sessionId !== undefined && record.sessionId !== sessionId) continue;
        if (kid !== undefined && record.kid !== kid) continue;
        yield record;
      }
    },
    async replaceWrapped(sessionId, did, expected, next) {
      const record = records.get(name(sessionId, did));
      if (record === undefined || !('wrapped' in record) || record.wrapped !== expected) return false;
      records.set(name(sessionId, did), { ...record, wrapped: next.wrapped, kid: next.kid });
      return true;
    },
    async destroy(sessionId, did) {
      for (const hold of holds.values()) {
        if (hold.releasedAt !== undefined) continue;
        if (hold.sessionId === sessionId || ancestorsOf(sessionId).includes(hold.sessionId))
          throw heldError(sessionId, hold.id);
      }
      const destroyedAt = now();
      const tombstones: DekTombstone[] = [];
      for (const [key, record] of records) {
        if (record.sessionId !== sessionId || (did !== undefined && record.did !== did)) continue;
        const tombstone = 'destroyedAt' in record ? record : { sessionId, did: record.did, destroyedAt };
        records.set(key, tombstone);
        tombstones.push(tombstone);
      }
      return tombstones;
    },
    holds: {
      async place(hold) {
        if (holds.has(hold.id)) return false;
        holds.set(hold.id, { ...hold });
        return true;
      },
      async release(id, releasedAt, releasedBy) {
        const hold = holds.get(id);
        if (hold === undefined || hold.releasedAt !== undefined) return hold;
        const released = defined({ ...hold, releasedAt, releasedBy });
        holds.set(id, released);
        return released;
      },
      async list({ sessionId, open } = {}) {
        return [...holds.values()].filter(
          (hold) =>
            (sessionId === undefined || hold.sessionId === sessionId) &&
            (open === undefined || (hold.releasedAt === undefined) === open),
        );
      },
    },
  };
}
