import type { HoldRecord } from '../keys/dek-store.ts';
import type { KeyState } from '../keys/keyring.ts';

/** The rule that data is compared with; times in milliseconds. At least one member. */
export interface ReportedRule {
  /** Records end by their stamps; with a number also at this age. */
  readonly expired?: true | number;
  readonly maxAge?: number;
  readonly maxIdle?: number;
  readonly keepLast?: number;
}

/** How much there is, by what the rule says about it now. */
export interface Counts {
  /** A run of the rule now would leave it. */
  readonly kept: number;
  /** A run of the rule now would delete it. */
  readonly due: number;
  /** The rule would delete it, and a legal hold keeps it. */
  readonly held: number;
}

/** One class of a distribution over time: from `from` on, below `to`; in milliseconds, absent where it has no end. */
export interface TimeClass extends Counts {
  readonly from?: number;
  readonly to?: number;
}

/** Conversations and the sessions derived from them, of one kind. */
export interface KindCounts {
  /** `'conversation'`, `'branch'`, `'archive'`, `'usage'`, `'vault'`, `'keys'`, … */
  readonly kind: string;
  readonly sessions: number;
  readonly items: number;
  /** Of the records, without the database's own overhead. */
  readonly bytes: number;
}

/** A session that has something the rule would delete. */
export interface DueSession {
  readonly id: string;
  readonly kind: string;
  readonly subject?: string;
  /** Of its items, how many are due. */
  readonly items: number;
  /** Since when the first of them is due, in Unix milliseconds. */
  readonly since: number;
  /** An open hold keeps it. */
  readonly held: boolean;
}

/** Records by what protects them. */
export interface SealedCounts {
  readonly sealed: number;
  /** Plain items, and envelopes of a stack without `encrypt()`. */
  readonly unsealed: number;
  /** Sessions with at least one such record. Vaults and the notes of branches are sealed only by a stack that does. */
  readonly sessionsUnsealed: number;
}

/** The use of one key-encryption key. */
export interface ReportedKey {
  readonly kid: string;
  /** In the keyring of the configuration; absent without a keyring, `'unknown'` when the keyring has no such key. */
  readonly state?: KeyState | 'unknown';
  /** Whether a data key under it could be opened; absent without a keyring. */
  readonly opens?: boolean;
  /** Data keys that it wraps. */
  readonly dataKeys: number;
  /** Sessions with such data keys. */
  readonly sessions: number;
  /** Records that such data keys sealed. */
  readonly records: number;
  /** When the oldest and the newest of the data keys were made, in Unix milliseconds; absent where they are only inline. */
  readonly oldestAt?: number;
  readonly newestAt?: number;
}

/** One class of the ages of data keys. */
export interface KeyAge {
  readonly from?: number;
  readonly to?: number;
  readonly dataKeys: number;
}

/** Everything about keys. */
export interface ReportedKeys {
  readonly keys: readonly ReportedKey[];
  /** Data keys in a table by age; those in envelopes have no date. */
  readonly ages: readonly KeyAge[];
  /** Records whose data key was destroyed on purpose. */
  readonly destroyed: { readonly dataKeys: number; readonly records: number };
  /** Records whose data key is in none of the places. */
  readonly missing: { readonly dataKeys: number; readonly records: number };
}

/** A legal hold, and what it keeps. */
export interface ReportedHold extends HoldRecord {
  /** The session and those derived from it that have items. */
  readonly sessions: number;
  readonly items: number;
}

/** A receipt of an erasure. */
export interface ReportedErasure {
  /** The name that it was given under, such as that of its file. */
  readonly name: string;
  /**
   * `'verified'`: one of the given keys signed it. `'unchecked'`: no key was given, so nobody knows who wrote it.
   * `'invalid'`: no key signed it, or it is no receipt; then nothing of it is reported.
   */
  readonly signature: 'verified' | 'unchecked' | 'invalid';
  readonly at?: number;
  readonly subject?: string;
  readonly sessionId?: string;
  readonly reason?: string;
  readonly by?: string;
  readonly sessions?: number;
  readonly records?: number;
  readonly keys?: number;
  /** Sessions that a hold kept at the time. */
  readonly held?: number;
  /** What the search right after the erasure still found. */
  readonly orphans?: number;
  /** What a search now finds of it again, of a receipt that is verified. */
  readonly foundAgain?: number;
}

/** A number of calls, by outcome. */
export interface CallCounts {
  readonly success: number;
  readonly failure: number;
}

/** Calls with one value of a property. */
export interface NamedCalls extends CallCounts {
  /** Empty where the events have none. */
  readonly name: string;
  /** Items that were returned or written. */
  readonly items: number;
}

/** One day, week or month of a chart, in UTC. */
export interface Period<T> {
  /** Its beginning, in Unix milliseconds. */
  readonly from: number;
  readonly counts: T;
}

/** Periods without a gap, oldest first, at most 31. */
export interface Periods<T> {
  readonly unit: 'day' | 'week' | 'month';
  readonly periods: readonly Period<T>[];
}

/** Calls in the audit log. */
export interface ReportedCalls extends CallCounts {
  readonly from?: number;
  readonly to?: number;
  readonly byActor: readonly NamedCalls[];
  readonly byOperation: readonly NamedCalls[];
  readonly byError: readonly { readonly error: string; readonly calls: number }[];
  readonly overTime: Periods<CallCounts>;
}

/** Reports of `redact()` in the audit log. */
export interface ReportedRedactions {
  readonly reports: number;
  readonly from?: number;
  readonly to?: number;
  readonly byEntity: readonly { readonly entity: string; readonly count: number }[];
  /** Texts that were not searched. */
  readonly unsearched: number;
  readonly overTime: Periods<Readonly<Record<string, number>>>;
}

/** What the audit log says. */
export interface ReportedLog {
  readonly lines: number;
  /** Lines that are neither an event of `audit()` nor a report of redactions. */
  readonly unreadable: number;
  readonly calls: ReportedCalls;
  readonly redactions: ReportedRedactions;
}

/** Something that a reviewer should look at. */
export interface Finding {
  readonly level: 'problem' | 'notice' | 'good';
  /** Stable, such as `'overdue'`. */
  readonly code: string;
  /** One sentence with numbers. */
  readonly text: string;
  /** The next step; absent where none is needed. */
  readonly step?: string;
}

/** The state of a store for a compliance review: numbers, ids, names and times, and never content of items. */
export interface ComplianceReport {
  readonly type: 'strongroom/report';
  readonly version: 1;
  /** By the clock of the store, in Unix milliseconds. */
  readonly at: number;
  /** The name that the caller gave to the store. */
  readonly name?: string;
  /** The layers of the store, outermost first. */
  readonly layers: readonly string[];
  /** The rule that was given; `{ expired: true }` when none was. */
  readonly rule: ReportedRule;
  readonly findings: readonly Finding[];
  readonly totals: {
    readonly conversations: number;
    readonly sessions: number;
    readonly items: number;
    readonly bytes: number;
    /** Different subjects of conversations. */
    readonly subjects: number;
    /** Conversations without one: they are not found by a request of a person. */
    readonly withoutSubject: number;
    readonly oldestAt?: number;
    readonly newestAt?: number;
  };
  readonly kinds: readonly KindCounts[];
  readonly records: SealedCounts;
  /** Conversations by the age of their first item. */
  readonly sessionsByAge: readonly TimeClass[];
  /** Items by age. */
  readonly itemsByAge: readonly TimeClass[];
  /**
   * Items by the time until the rule deletes them, negative for what is due: `from` of the first class and `to` of the last are
   * absent. Items that no rule deletes are in none.
   */
  readonly itemsByDue: readonly TimeClass[];
  /** Items that no rule deletes, however old they get. */
  readonly itemsWithoutEnd: number;
  /** Items that have been due for more than a day, and no hold keeps them: no purge has run since. */
  readonly overdue: number;
  /** Items above `keepLast`, oldest first. */
  readonly trimmable: number;
  /** The sessions whose items are due for the longest time, at most 50. */
  readonly dueSessions: readonly DueSession[];
  readonly keys: ReportedKeys;
  readonly holds: readonly ReportedHold[];
  readonly erasures: readonly ReportedErasure[];
  /** Sessions that hold records from before they were erased: a backup was restored. */
  readonly returned: readonly { readonly id: string; readonly erasedAt: number }[];
  /** Absent when no log was given. */
  readonly log?: ReportedLog;
}
