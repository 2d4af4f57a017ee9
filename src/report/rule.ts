import { ancestorsOf, holdsConversation, rootOf } from '../derived-id.ts';
import { defined } from '../defined.ts';
import { checkRetentionOptions, type RetentionOptions } from '../operations/retention/options.ts';
import type { SessionSummary } from '../session-contract.ts';
import type { StoredRecord } from '../stores/driver.ts';
import type { Counts, ReportedRule } from './types.ts';

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`, as of `retention()`. */
export function parseRule(options: RetentionOptions = { expired: true }): ReportedRule {
  const { expired, after, age, idle, keep } = checkRetentionOptions(options);
  return defined({
    expired: expired ? (after ?? (true as const)) : undefined,
    maxAge: age,
    maxIdle: idle,
    keepLast: keep,
  });
}

/** What the rule says about a record. */
export interface Verdict {
  readonly what: keyof Counts;
  /** When the rule deletes it, or should have, in Unix milliseconds; absent when it never does. */
  readonly at?: number;
}

/** What the rule says about the records of a session. */
export interface Judge {
  /** Called with every session before any is judged: some are deleted with others. */
  note(summary: SessionSummary): void;
  of(summary: SessionSummary): SessionJudge;
}

export interface SessionJudge {
  record(record: StoredRecord): Verdict;
  /** Items above `keepLast`. */
  readonly trimmable: number;
}

/** A date on which something is deleted unless a hold keeps it. */
interface End {
  readonly at: number;
  readonly held: boolean;
}

/**
 * The same rules as a run of `retention()`, but with the date of each record instead of a decision about now.
 *
 * @param held The sessions with an open hold on themselves.
 */
export function createJudge(rule: ReportedRule, now: number, held: ReadonlySet<string>): Judge {
  const { expired, maxAge, maxIdle, keepLast } = rule;
  const firstAt = new Map<string, number>();
  const lastAt = new Map<string, number>();
  // Of a conversation: the last item of its data keys, vaults and registers of branches, and the latest first item of the rest.
  const lastNeeded = new Map<string, number>();
  const latestFirst = new Map<string, number>();
  // Nothing of a conversation is deleted as a whole while one session of it is held.
  const heldRoots = new Set([...held].map(rootOf));
  const isKept = (id: string): boolean => held.has(id) || ancestorsOf(id).some((above) => held.has(above));

  /** When the session is deleted as a whole. */
  function endsOf(id: string): End[] {
    const first = firstAt.get(id);
    const root = rootOf(id);
    const isHeld = heldRoots.has(root);
    const ends: End[] = [];
    if (maxAge !== undefined && first !== undefined && holdsConversation(id)) {
      ends.push({ at: first + maxAge, held: isHeld });
    }
    const needed = firstAt.has(root) || holdsConversation(id) ? undefined : lastNeeded.get(root);
    if (maxAge !== undefined && needed !== undefined) {
      // They remain until nothing else does.
      ends.push({ at: Math.max(needed, latestFirst.get(root) ?? needed) + maxAge, held: isHeld });
    }
    const last = lastAt.get(root);
    if (maxIdle !== undefined && last !== undefined && (root === id || !firstAt.has(root))) {
      ends.push({ at: last + maxIdle, held: isHeld });
    }
    return ends;
  }

  return {
    note({ id, firstAt: first, lastAt: last }) {
      if (maxAge === undefined && maxIdle === undefined) return;
      firstAt.set(id, first);
      const root = rootOf(id);
      lastAt.set(root, Math.max(lastAt.get(root) ?? last, last));
      if (holdsConversation(id)) latestFirst.set(root, Math.max(latestFirst.get(root) ?? first, first));
      else lastNeeded.set(root, Math.max(lastNeeded.get(root) ?? last, last));
    },
    of({ id, kind, items }) {
      const own = endsOf(id);
      const ends = [...own, ...ancestorsOf(id).flatMap(endsOf)];
      const isHeld = isKept(id);
      const isCut = kind === undefined || kind === 'branch';
      const isDropped = own.some(({ at }) => at <= now);
      const excess = keepLast === undefined || !isCut || isHeld || isDropped ? 0 : items - keepLast;
      return {
        trimmable: Math.max(excess, 0),
        record(record) {
          const all = [...ends];
          if (expired !== undefined && record.expiresAt !== null) {
            all.push({ at: record.expiresAt, held: isHeld });
          }
          if (typeof expired === 'number') all.push({ at: birthOf(record) + expired, held: isHeld });
          return verdictOf(all, now);
        },
      };
    },
  };
}

function verdictOf(ends: readonly End[], now: number): Verdict {
  const past = ends.filter(({ at }) => at <= now);
  const free = past.filter((end) => !end.held);
  if (free.length > 0) return { what: 'due', at: earliest(free) };
  if (past.length > 0) return { what: 'held', at: earliest(past) };
  const next = earliest(ends);
  // The notes of a conversation are stamped with the last date that there is, so that no rule reaches them.
  return next >= NEVER ? { what: 'kept' } : { what: 'kept', at: next };
}

const NEVER = 8.64e15;

function earliest(ends: readonly End[]): number {
  return ends.reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY);
}

/** The time from which the age of a record counts, as the purge of the databases has it. */
export function birthOf({ bornAt, writtenAt }: StoredRecord): number {
  return bornAt ?? writtenAt;
}
