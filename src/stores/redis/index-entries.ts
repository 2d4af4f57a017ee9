import type { StoredRecord } from '../driver.ts';
import { type Outcome } from '../failure.ts';
import { firstTimes } from '../first-times.ts';
import { didsOf } from '../record.ts';
import type { Entries } from './indexed.ts';
import type { RedisParts } from './parts.ts';

/** The indexes over all sessions: sorted sets of session ids. */
export interface IndexEntries {
  /** All sessions, by id. */
  readonly ids: string;
  /** By the earliest expiry. */
  readonly expiries: string;
  /** By the earliest birth. */
  readonly births: string;
  /** The sessions of a subject. */
  readonly subjectKey: (subject: string) => string;
  /**
   * So that the session is found by listings and by the purge. Scores only go down.
   *
   * @param outcome What is known of the call when this fails.
   */
  readonly index: (sessionId: string, entries: Entries, outcome: Outcome) => Promise<void>;
  /**
   * A deletion may have taken the entries since they were written, and a purge may have raised their scores: what comes
   * after the records stays, because either of them looks at the records again at its end.
   */
  readonly confirm: (sessionId: string, list: string, entries: Entries) => Promise<void>;
}

export function indexEntries({ commands, prefix, indexed }: RedisParts): IndexEntries {
  const ids = `${prefix}:ids`;
  const expiries = `${prefix}:expiries`;
  const births = `${prefix}:births`;
  const subjectKey = (subject: string): string => `${prefix}:subject:${subject}`;

  async function index(
    sessionId: string,
    { birth, expiry, subject }: Entries,
    outcome: Outcome,
  ): Promise<void> {
    if (birth === Infinity) return;
    await Promise.all([
      commands.entry(outcome, 'ZADD', ids, '0', sessionId),
      commands.entry(outcome, 'ZADD', births, 'LT', String(birth), sessionId),
      ...(expiry === Infinity
        ? []
        : [commands.entry(outcome, 'ZADD', expiries, 'LT', String(expiry), sessionId)]),
      ...(subject === undefined
        ? []
        : [commands.entry(outcome, 'ZADD', subjectKey(subject), '0', sessionId)]),
    ]);
  }

  async function confirm(sessionId: string, list: string, entries: Entries): Promise<void> {
    indexed.name(sessionId, list);
    await index(sessionId, entries, 'yes');
    if (list !== '') indexed.note(sessionId, list, entries);
  }

  return { ids, expiries, births, subjectKey, index, confirm };
}

export function entriesOf(records: readonly StoredRecord[], subject?: string): Entries {
  const { birth, expiry } = firstTimes(records);
  return { birth: birth ?? Infinity, expiry: expiry ?? Infinity, subject, dids: [...didsOf(records)] };
}
