import { lineageOf } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import type { StoredRecord } from '../driver.ts';
import { withOutcome, type Outcome } from '../failure.ts';
import { firstTimes } from '../first-times.ts';
import { didsOf } from '../record.ts';
import type { Entries } from './indexed.ts';
import { textOf } from './client.ts';
import { treeKey } from './keys.ts';
import { latestExpiry } from './life.ts';
import type { RedisParts } from './parts.ts';
import { LEAVE_SUBJECT } from './scripts.ts';

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
  /** Ids of the derived sessions of a conversation. */
  readonly derived: (root: string) => Promise<string[]>;
  /** Ids of the sessions that have this subject themselves. */
  readonly ofSubject: (subject: string) => Promise<string[]>;
  /** Gives the sessions derived from a removed one its subject, so that they are found by it. */
  readonly leaveSubject: (sessionId: string, subject: string) => Promise<void>;
  /**
   * Writes the entries by which listings and the purge find the session. Scores are only lowered.
   *
   * @param outcome The outcome of the call when this fails.
   */
  readonly index: (sessionId: string, entries: Entries, outcome: Outcome) => Promise<void>;
  /** Writes the entries of a branch, as early as those of the session that has the records. */
  readonly indexLike: (branch: string, sessionId: string) => Promise<void>;
  /**
   * A deletion may have removed the entries since they were written, and a purge may have raised their scores.
   * Entries that are written after the records stay, because both check the records again at their end.
   *
   * @param presumed See `Claim`.
   */
  readonly confirm: (sessionId: string, list: string, entries: Entries, presumed?: string) => Promise<void>;
}

export function indexEntries({ commands, prefix, keysOf, indexed }: RedisParts): IndexEntries {
  const ids = `${prefix}:ids`;
  const expiries = `${prefix}:expiries`;
  const births = `${prefix}:births`;
  const subjectKey = (subject: string): string => `${prefix}:subject:${subject}`;

  async function index(
    sessionId: string,
    { birth, expiry, subject }: Pick<Entries, 'birth' | 'expiry'> & Partial<Entries>,
    outcome: Outcome,
  ): Promise<void> {
    const lineage = lineageOf(sessionId);
    const registered =
      lineage && commands.entry(outcome, 'ZADD', treeKey(prefix, lineage.root), '0', sessionId);
    if (birth === Infinity) return void (await registered);
    await Promise.all([
      registered,
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

  async function indexLike(branch: string, sessionId: string): Promise<void> {
    const [birth, expiry] = await Promise.all([
      commands.read('ZSCORE', births, sessionId),
      commands.read('ZSCORE', expiries, sessionId),
    ]);
    const scoreOf = (found: unknown): number => (found === null ? Infinity : Number(textOf(found)));
    await index(branch, { birth: birth === null ? 0 : scoreOf(birth), expiry: scoreOf(expiry) }, 'no');
  }

  async function all(key: string): Promise<string[]> {
    return ((await commands.read('ZRANGE', key, '0', '-1')) as Buffer[]).map(String);
  }

  const derived = (root: string): Promise<string[]> => all(treeKey(prefix, root));

  /** An entry can be of a session that was never written, or lost. */
  async function ofSubject(subject: string): Promise<string[]> {
    const ids = await all(subjectKey(subject));
    const owners = await Promise.all(
      ids.map(async (id) => commands.read('HGET', keysOf(id).meta, 'subject')),
    );
    return ids.filter((_, index) => textOf(owners[index] ?? '') === subject);
  }

  async function leaveSubject(sessionId: string, subject: string): Promise<void> {
    if (lineageOf(sessionId) !== undefined) return;
    for (const id of await derived(sessionId)) await leaveTo(id, subject);
  }

  async function leaveTo(sessionId: string, subject: string): Promise<void> {
    await commands.entry('no', 'ZADD', subjectKey(subject), '0', sessionId);
    await commands.script(LEAVE_SUBJECT, [keysOf(sessionId).meta], [subject]);
  }

  /** Of the root, else of any session that is derived from it: the root can be gone. */
  async function subjectOf(root: string): Promise<string | undefined> {
    const read = async (id: string): Promise<unknown> => commands.read('HGET', keysOf(id).meta, 'subject');
    let found = await read(root);
    if (found === null)
      found = (await Promise.all((await derived(root)).map(read))).find((each) => each !== null);
    return found === undefined ? undefined : textOf(found);
  }

  /** What the process presumes counts only where the root has no row. */
  async function presumedFor(root: string, presumed: string | undefined): Promise<string | undefined> {
    const isThere = presumed !== undefined && (await commands.read('EXISTS', keysOf(root).meta)) === 1;
    return isThere ? undefined : presumed;
  }

  /**
   * The keys of a root can end by themselves, when nobody is there to leave its subject. Both do it, each after it was written: the
   * one that comes second finds the other.
   */
  async function handDown(sessionId: string, subject: string | undefined, presumed?: string): Promise<void> {
    const lineage = lineageOf(sessionId);
    try {
      if (lineage !== undefined) {
        const { root } = lineage;
        const found = (await subjectOf(root)) ?? (await presumedFor(root, presumed));
        if (found !== undefined) await leaveTo(sessionId, found);
      } else if (subject !== undefined) await leaveSubject(sessionId, subject);
    } catch (error) {
      // The records are there by then.
      throw isStrongroomError(error) ? withOutcome(error, 'yes') : error;
    }
  }

  async function confirm(
    sessionId: string,
    list: string,
    entries: Entries,
    presumed?: string,
  ): Promise<void> {
    indexed.name(sessionId, list);
    await Promise.all([index(sessionId, entries, 'yes'), handDown(sessionId, entries.subject, presumed)]);
    if (list !== '') indexed.note(sessionId, list, entries);
  }

  return { ids, expiries, births, subjectKey, derived, ofSubject, leaveSubject, index, indexLike, confirm };
}

export function entriesOf(records: readonly StoredRecord[], subject?: string): Entries {
  const { birth, expiry } = firstTimes(records);
  return {
    birth: birth ?? Infinity,
    expiry: expiry ?? Infinity,
    subject,
    dids: [...didsOf(records)],
    latest: latestExpiry(records),
  };
}
