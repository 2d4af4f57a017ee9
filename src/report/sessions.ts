import { defined } from '../defined.ts';
import { isWithoutContent } from '../derived-id.ts';
import type { SessionSummary } from '../session-contract.ts';
import type { StoredRecord } from '../stores/driver.ts';
import { ageClasses, DAY, dueClasses } from './classes.ts';
import { birthOf, type Judge } from './rule.ts';
import type { ComplianceReport, Counts, DueSession, ReportedRule } from './types.ts';

/** The members of the report about sessions and items. */
export type SessionPart = Pick<
  ComplianceReport,
  | 'totals'
  | 'kinds'
  | 'records'
  | 'sessionsByAge'
  | 'itemsByAge'
  | 'itemsByDue'
  | 'itemsWithoutEnd'
  | 'overdue'
  | 'trimmable'
  | 'dueSessions'
>;

/** Counts sessions and their records, one session at a time. */
export interface SessionCount {
  add(summary: SessionSummary, records: readonly StoredRecord[]): void;
  result(): SessionPart;
}

const MOST_DUE_SESSIONS = 50;

export function countSessions(rule: ReportedRule, judge: Judge, now: number): SessionCount {
  const { expired, maxAge } = rule;
  const sessionsByAge = ageClasses(maxAge);
  const itemsByAge = ageClasses(typeof expired === 'number' ? expired : undefined);
  const itemsByDue = dueClasses();
  const kinds = new Map<string, { sessions: number; items: number; bytes: number }>();
  const subjects = new Set<string>();
  const records = { sealed: 0, unsealed: 0, sessionsUnsealed: 0 };
  const totals = { conversations: 0, sessions: 0, items: 0, bytes: 0, withoutSubject: 0 };
  const dues: DueSession[] = [];
  let oldest = Number.POSITIVE_INFINITY;
  let newest = Number.NEGATIVE_INFINITY;
  let withoutEnd = 0;
  let overdue = 0;
  let trimmable = 0;

  /** One record in its classes; returns what the rule says about it. */
  function addRecord(record: StoredRecord, verdict: ReturnType<ReturnType<Judge['of']>['record']>): void {
    const { what, at } = verdict;
    const born = birthOf(record);
    itemsByAge.add(now - (born < 8.64e15 ? born : record.writtenAt), what);
    if (at === undefined) withoutEnd++;
    else itemsByDue.add(at - now, what);
    if (what === 'due' && at !== undefined && now - at > DAY) overdue++;
  }

  function addDue(due: DueSession): void {
    dues.push(due);
    if (dues.length < 2 * MOST_DUE_SESSIONS) return;
    dues.sort(bySince);
    dues.length = MOST_DUE_SESSIONS;
  }

  return {
    add(summary, all) {
      const { id, kind = 'conversation', bytes, firstAt, lastAt, subject } = summary;
      const of = judge.of(summary);
      const found: Record<keyof Counts, number> = { kept: 0, due: 0, held: 0 };
      let since = Number.POSITIVE_INFINITY;
      let unsealed = 0;
      for (const record of all) {
        const verdict = of.record(record);
        addRecord(record, verdict);
        found[verdict.what]++;
        if (verdict.what !== 'kept') since = Math.min(since, verdict.at ?? since);
        if (record.did === null && !isWithoutContent(summary.kind)) unsealed++;
        else if (record.did !== null) records.sealed++;
      }
      records.unsealed += unsealed;
      if (unsealed > 0) records.sessionsUnsealed++;
      trimmable += of.trimmable;
      const what = whatOf(found);
      if (what !== 'kept') {
        const items = found.due + found.held;
        addDue(defined({ id, kind, subject, items, since, held: what === 'held' }));
      }
      const before = kinds.get(kind) ?? { sessions: 0, items: 0, bytes: 0 };
      kinds.set(kind, {
        sessions: before.sessions + 1,
        items: before.items + all.length,
        bytes: before.bytes + bytes,
      });
      totals.sessions++;
      totals.items += all.length;
      totals.bytes += bytes;
      oldest = Math.min(oldest, firstAt);
      newest = Math.max(newest, lastAt);
      if (kind !== 'conversation') return;
      totals.conversations++;
      if (subject === undefined) totals.withoutSubject++;
      else subjects.add(subject);
      sessionsByAge.add(now - firstAt, what);
    },
    result: () => ({
      totals: defined({
        ...totals,
        subjects: subjects.size,
        oldestAt: Number.isFinite(oldest) ? oldest : undefined,
        newestAt: Number.isFinite(newest) ? newest : undefined,
      }),
      kinds: [...kinds].map(([kind, counts]) => ({ kind, ...counts })).toSorted(byItems),
      records,
      sessionsByAge: sessionsByAge.result(),
      itemsByAge: itemsByAge.result(),
      itemsByDue: itemsByDue.result(),
      itemsWithoutEnd: withoutEnd,
      overdue,
      trimmable,
      dueSessions: dues.toSorted(bySince).slice(0, MOST_DUE_SESSIONS),
    }),
  };
}

/** A session with anything due is due. */
function whatOf(found: Readonly<Record<keyof Counts, number>>): keyof Counts {
  if (found.due > 0) return 'due';
  return found.held > 0 ? 'held' : 'kept';
}

function bySince(one: DueSession, other: DueSession): number {
  return one.since - other.since;
}

function byItems(one: { readonly items: number }, other: { readonly items: number }): number {
  return other.items - one.items;
}
