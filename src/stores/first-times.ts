import type { Expired, StoredRecord } from './driver.ts';

/**
 * The earliest times of some records, Unix milliseconds. A database keeps such bounds for each session, indexed,
 * for the purge: no record of the session expires or was written earlier. The record with the earliest time may
 * have been removed.
 */
export interface FirstTimes {
  /** `null` when none expires. */
  readonly expiry: number | null;
  /** `null` when there are none. */
  readonly birth: number | null;
}

export function firstTimes(records: readonly StoredRecord[]): FirstTimes {
  let expiry: number | null = null;
  let birth: number | null = null;
  for (const { expiresAt, bornAt, writtenAt } of records) {
    if (expiresAt !== null && (expiry === null || expiresAt < expiry)) expiry = expiresAt;
    const born = bornAt ?? writtenAt;
    if (birth === null || born < birth) birth = born;
  }
  return { expiry, birth };
}

/** Whether `time` would lower the bound. */
export function isEarlier(time: number | null, bound: number | null): boolean {
  return time !== null && (bound === null || time < bound);
}

/** Whether a purge deletes the record. */
export function isExpired(
  { expiresAt, bornAt, writtenAt }: StoredRecord,
  { now, writtenBefore }: Expired,
): boolean {
  if (expiresAt !== null && expiresAt <= now) return true;
  return writtenBefore !== undefined && (bornAt ?? writtenAt) <= writtenBefore;
}

/** A rule of a purge: a bound of the session, the SQL expression of its items that it bounds, and the time. */
export interface PurgeRule {
  readonly bound: 'first_expiry_at' | 'first_birth_at';
  readonly column: string;
  readonly time: number;
}

export function purgeRules({ now, writtenBefore }: Expired): PurgeRule[] {
  const rules: PurgeRule[] = [{ bound: 'first_expiry_at', column: 'expires_at', time: now }];
  if (writtenBefore !== undefined) {
    rules.push({ bound: 'first_birth_at', column: 'coalesce(born_at, written_at)', time: writtenBefore });
  }
  return rules;
}

/** Sessions that one step of a purge processes: it reads all their records while their writers wait. */
export const SESSIONS_A_STEP = 100;
