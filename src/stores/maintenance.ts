import type { StoreCheckup } from './checkup.ts';
import { ancestorsOf, rootOf } from '../derived-id.ts';
import { heldError, type DekStore, type HoldStore } from '../keys/dek-store.ts';
import { checkAhead } from '../clock.ts';
import type { MaybePromise } from '../layer.ts';
import type { Leases } from '../session-contract.ts';
import type { StoreDriver, StoredRecord } from './driver.ts';
import { newMark } from './marks.ts';
import { createNotes, type Notes } from './notes.ts';

/** Conditions under which a session is deleted; both depend on writes, not on reads. Unix milliseconds. */
export interface DropCondition {
  /** The oldest item was written at this time or before. */
  readonly firstBefore?: number;
  /** The newest item was written at this time or before. */
  readonly lastBefore?: number;
  /** With `lastBefore`: a session without items, too. Default `false`. */
  readonly orEmpty?: boolean;
}

/** Work on whole sessions, each step one transaction that checks again before it deletes. */
export interface Maintenance {
  readonly leases: Leases;
  readonly dekStore: DekStore & { readonly holds: HoldStore };
  /** The store's clock. */
  now(): number;
  /**
   * Checks that the store's clock may be used for deletions.
   *
   * @param maxAhead Milliseconds that it may be ahead; default: the bound of the store.
   * @throws {@link StrongroomError} `ERR_CLOCK`.
   */
  checkClock(where: string, maxAhead: number | undefined): Promise<void>;
  /** Ids of the sessions derived from this one, the deepest first. */
  tree(sessionId: string): Promise<readonly string[]>;
  /** The same for a conversation, as the database says it. */
  derived(root: string): Promise<readonly string[]>;
  /** Ids of the sessions, also of those without items, that have this subject themselves. */
  ofSubject(subject: string): Promise<readonly string[]>;
  /**
   * Called before any of them is deleted. @throws {@link StrongroomError} `ERR_HELD` when one of them, or what
   * belongs to one, is under a hold.
   */
  assertNotHeld(sessionIds: readonly string[]): Promise<void>;
  /** Whether the session has no items, in a small read. */
  isEmpty(sessionId: string): Promise<boolean>;
  /** Whether a hold on it, or on a session that it was derived from, keeps its records. */
  isKept(sessionId: string): Promise<boolean>;
  /** Facts of a function about a conversation, in a session of their own: see {@link Notes}. */
  readonly notes: Notes;
  /** Deletes the session if one of the conditions still applies. `ERR_HELD` under a hold. */
  dropIf(sessionId: string, condition: DropCondition): Promise<boolean>;
  /** Deletes this one session with its data keys, and none that belongs to it. `ERR_HELD` under a hold. */
  drop(sessionId: string): Promise<void>;
  /** Deletes all but the last `keep` items; returns how many. `ERR_HELD` under a hold. */
  trim(sessionId: string, keep: number): Promise<number>;
  /** Whether a record can be of another session than the one that has it, see `Change.share`. */
  readonly shares: boolean;
  /** All stored records of a session. */
  records(sessionId: string): Promise<readonly StoredRecord[]>;
  /** Appends records of another store, with the times that they have. */
  append(sessionId: string, records: readonly StoredRecord[], subject?: string): Promise<void>;
  /**
   * A branch without records begins with the first records of another session, if `isMeant` says in the same
   * transaction that these are the right ones. Only where the store {@link Maintenance.shares}.
   *
   * @throws {@link StrongroomError} `ERR_CONFLICT` when the branch has records.
   */
  begin(
    sessionId: string,
    base: string,
    count: number,
    isMeant: (records: readonly StoredRecord[]) => MaybePromise<boolean>,
  ): Promise<void>;
  /** What the database lacks, where its driver can tell. */
  readonly checkup: (() => Promise<StoreCheckup>) | undefined;
  /** What a purge would delete, or would have deleted at an earlier time. */
  expired(
    writtenBefore?: number,
    at?: number,
  ): Promise<readonly { readonly id: string; readonly items: number }[]>;
}

const MOST_ASKED = 200;

/** @param removed Called when a session was removed that the driver does not report as deleted. */
export function createMaintenance(
  driver: StoreDriver,
  now: () => number,
  removed: (sessionId: string) => void,
): Maintenance {
  return {
    leases: driver.leases,
    dekStore: driver.dekStore,
    now,
    checkClock: (where, maxAhead) => checkAhead(where, now(), driver.reference, maxAhead),
    async tree(sessionId) {
      const derived = await driver.derived(rootOf(sessionId));
      return derived
        .map((id) => ({ id, above: ancestorsOf(id) }))
        .filter(({ above }) => above.includes(sessionId))
        .toSorted((one, other) => other.above.length - one.above.length)
        .map(({ id }) => id);
    },
    derived: (root) => driver.derived(root),
    ofSubject: (subject) => driver.ofSubject(subject),
    async assertNotHeld(sessionIds) {
      const asked = [...new Set(sessionIds.flatMap((id) => [id, ...ancestorsOf(id)]))];
      for (let start = 0; start < asked.length; start += MOST_ASKED) {
        const held = await driver.heldOf(asked.slice(start, start + MOST_ASKED));
        if (held !== undefined) throw heldError(held.sessionId, held.hold);
      }
      // A held session without a row is not in the tree.
      const going = new Set(sessionIds);
      const below = (await driver.heldDerived()).find(({ sessionId }) =>
        ancestorsOf(sessionId).some((id) => going.has(id)),
      );
      if (below !== undefined) throw heldError(below.sessionId, below.hold);
    },
    isEmpty: async (sessionId) => (await driver.read(sessionId, 1)).length === 0,
    isKept: async (sessionId) => (await driver.heldOf([sessionId, ...ancestorsOf(sessionId)])) !== undefined,
    async dropIf(sessionId, { firstBefore, lastBefore, orEmpty = false }) {
      let dropped = false;
      // The oldest item need not be the first: a summary of it is new, and stands in its place.
      await driver.change(sessionId, { records: 'all' }, ({ records }) => {
        dropped =
          firstBefore === undefined
            ? (orEmpty || records.length > 0) &&
              records.every(({ writtenAt }) => writtenAt <= (lastBefore ?? -1))
            : records.some(({ writtenAt }) => writtenAt <= firstBefore);
        return dropped ? { remove: 'all', insert: [], drop: true } : undefined;
      });
      if (dropped) removed(sessionId);
      return dropped;
    },
    drop: (sessionId) => driver.deleteSession(sessionId),
    async trim(sessionId, keep) {
      let trimmed = 0;
      await driver.change(sessionId, { records: 'all' }, ({ records }) => {
        trimmed = Math.max(records.length - keep, 0);
        return trimmed === 0 ? undefined : { remove: { start: 0, count: trimmed }, insert: [] };
      });
      return trimmed;
    },
    notes: createNotes(driver, now),
    shares: driver.shares === true,
    records: async (sessionId) => driver.read(sessionId),
    append: (sessionId, records, subject) => driver.append({ sessionId, records, mark: newMark(), subject }),
    begin: (sessionId, base, count, isMeant) =>
      driver.change(base, { records: count, from: 'start' }, async ({ records }) =>
        records.length === count && (await isMeant(records))
          ? { remove: 'none', insert: [], share: { sessionId, count } }
          : undefined,
      ),
    checkup: driver.checkup,
    expired: (writtenBefore, at = now()) => driver.expired({ now: at, writtenBefore }),
  };
}
