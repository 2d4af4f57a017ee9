import { boundedMap } from '../bounded-map.ts';

/** A lease of another owner, as stored in the database. */
export interface ForeignLease {
  readonly owner: string;
  /** When it expires by the database's clock: another time after each renewal. */
  readonly ends: number;
  /** Whether it has expired, by the same clock. */
  readonly ended: boolean;
}

/** The duration of the requested lease, and how long the caller will retry; milliseconds. */
export interface LeaseWish {
  readonly milliseconds: number;
  readonly patience: number;
}

const MOST_LEASES = 1_000;

/**
 * Decides when a lease of another owner may be taken over. The clock of a server can jump, and then leases of live
 * owners seem expired, or seem to last for another hour. So a lease is observed by this process's monotonic clock:
 * a live owner renews it three times in its duration.
 *
 * @param precision By how many milliseconds two answers of the database about one end can differ.
 * @returns Whether it may be taken over: it was not renewed for its whole duration; or it has expired by the
 * database's clock and was not renewed for half of its duration, less when the caller does not wait that long.
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
