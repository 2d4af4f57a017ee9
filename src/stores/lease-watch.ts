import { boundedMap } from '../bounded-map.ts';

/** A lease of somebody else, as a database has it. */
export interface ForeignLease {
  readonly owner: string;
  /** When it ends by the database's clock: another time after each renewal. */
  readonly ends: number;
  /** Whether that is over, by the same clock. */
  readonly ended: boolean;
}

/** How long the caller wants the lease for, and how long it is going to go on asking; milliseconds. */
export interface LeaseWish {
  readonly milliseconds: number;
  readonly patience: number;
}

const MOST_LEASES = 1_000;

/**
 * Decides when a lease of somebody else may be taken over. The clock of a server can jump, and then leases seem over whose
 * owners are well, or seem to last for another hour. So a lease is watched by this process's own clock, which cannot jump: an
 * owner that is well renews it three times in its time.
 *
 * @param precision By how many milliseconds two answers of the database about one end can differ.
 * @returns Whether it may be taken over: it was not renewed for all its time; or it has ended by the database's clock and was
 * not renewed for half of its time, less when the caller does not wait that long.
 */
export function leaseWatch(precision: number, now: () => number = () => performance.now()) {
  const watched = boundedMap<{ readonly lease: ForeignLease; readonly since: number }>(MOST_LEASES);
  return (name: string, lease: ForeignLease, { milliseconds, patience }: LeaseWish): boolean => {
    const known = watched.get(name);
    const isSame =
      known !== undefined &&
      known.lease.owner === lease.owner &&
      Math.abs(known.lease.ends - lease.ends) <= precision;
    if (!isSame) watched.set(name, { lease, since: now() });
    const idle = isSame ? now() - known.since : 0;
    if (idle >= milliseconds) return true;
    return lease.ended && idle >= Math.min(milliseconds / 2, (patience * 3) / 4);
  };
}
