import type { Leases } from '../../session-contract.ts';
import { leaseWatch } from '../lease-watch.ts';
import type { Database } from './database.ts';
import { attempt, type Draft } from './draft.ts';
import { decodeJson, keyOf, rangeOf } from './layout.ts';

/** The owner keeps the lease after its end, until another owner takes it over. */
export interface LeaseRow {
  readonly owner: string;
  /** Unix milliseconds, by the clock of the database, else by that of the owner. */
  readonly ends: number;
  /** Milliseconds that it was taken for, or renewed for. */
  readonly length: number;
}

export function leaseKeyOf(name: string): string {
  return keyOf('lease', name);
}

const WHAT = 'the leases';

/**
 * They expire by the clock of the database and by observation, see lease-watch.ts; without that clock after an
 * observation for their whole duration.
 */
export function keyValueLeases(database: Database): Leases {
  const mayTake = leaseWatch(0);
  const clock = async (): Promise<number | undefined> => await database.time?.();

  return {
    acquire: (name, owner, milliseconds, patience = 0) =>
      attempt(database, WHAT, async (draft) => {
        const current = await readLease(draft, name);
        const now = await clock();
        if (current !== undefined && current.owner !== owner) {
          const ended = now !== undefined && current.ends <= now;
          const wish = { milliseconds: now === undefined ? current.length : milliseconds, patience };
          if (!mayTake(name, { ...current, ended }, wish)) return false;
        }
        putLease(draft, name, owner, milliseconds, now);
        return true;
      }),

    renew: (name, owner, milliseconds) =>
      attempt(database, WHAT, async (draft) => {
        const current = await readLease(draft, name);
        if (current?.owner !== owner) return false;
        putLease(draft, name, owner, milliseconds, await clock());
        return true;
      }),

    release: (name, owner) =>
      attempt(database, WHAT, async (draft) => {
        const current = await readLease(draft, name);
        if (current?.owner === owner) draft.remove(leaseKeyOf(name));
      }),
  };
}

function readLease(draft: Draft, name: string): Promise<LeaseRow | undefined> {
  return draft.readJson<LeaseRow>(leaseKeyOf(name));
}

function putLease(draft: Draft, name: string, owner: string, length: number, now: number = Date.now()): void {
  draft.putJson(leaseKeyOf(name), { owner, ends: now + length, length } satisfies LeaseRow);
}

/** Longer than a clock jumps. */
const LONG_AGO = 2 * 3_600_000;
const MOST_A_PURGE = 1_000;

/**
 * Removes leases that ended long ago, and those that an earlier purge of this process found ended and that were not renewed
 * since: a clock that jumped ahead must not remove them from live owners.
 */
export function leasePurge(database: Database): () => Promise<void> {
  let found: ReadonlySet<string> = new Set();
  return async () => {
    const now = (await database.time?.()) ?? Date.now();
    const pairs = await database.list({ ...rangeOf('lease'), limit: MOST_A_PURGE });
    const ended = pairs
      .map(([key, value]) => ({ key, value, ...(decodeJson(value) as LeaseRow) }))
      .filter(({ ends }) => ends <= now)
      .map((lease) => ({ ...lease, state: `${lease.key} ${lease.owner} ${lease.ends}` }));
    const before = found;
    found = new Set(ended.map(({ state }) => state));
    for (const { key, value, ends, state } of ended) {
      // Renewed meanwhile, it stays.
      if (ends <= now - LONG_AGO || before.has(state))
        await database.commit({ expect: [[key, value]], put: [], remove: [key] });
    }
  };
}
