import type { Session } from '@openai/agents';
import { defined } from '../../defined.ts';
import { holdsConversation } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { DropCondition, Maintenance } from '../../stores/maintenance.ts';
import type { Store } from '../../stores/store.ts';
import { countKinds } from '../../stores/tree.ts';
import { listed } from '../listed.ts';
import { WHERE, type RetentionSettings } from './options.ts';
import { overdueSessions, warnOfOverdue } from './overdue.ts';
import type { RetentionProgress, RetentionReport } from './report.ts';

/** The target of the rules. */
export interface RetentionTarget {
  readonly store: Store<Session>;
  readonly maintenance: Maintenance;
  /** Runs work that removes from a session, as a call of its own on a wrapped store. */
  readonly remove: <T>(id: string, work: () => Promise<T>) => Promise<T>;
  /** Deletes a session, as such a call. */
  readonly erase: (id: string) => Promise<unknown>;
}

/** One run of the rules. */
export async function applyRules(
  target: RetentionTarget,
  settings: RetentionSettings,
  dryRun: boolean,
  signal: AbortSignal | undefined,
  onProgress?: (progress: RetentionProgress) => void,
): Promise<RetentionReport> {
  const { store, maintenance, remove } = target;
  const { expired, after, age, idle, keep, batch, origin } = settings;
  const needsClock = expired || age !== undefined || idle !== undefined;
  if (needsClock) {
    await maintenance.checkClock(WHERE, settings.maxAhead);
    if (!dryRun) warnOfOverdue(await overdueSessions(maintenance, settings));
  }
  const now = maintenance.now();
  const report = {
    dryRun,
    skipped: false,
    expired: { items: 0, sessions: 0 },
    deleted: [] as string[],
    derived: {} as Record<string, number>,
    trimmed: { items: 0, sessions: 0 },
    held: [] as string[],
  };
  const tell = (purged: number): void =>
    onProgress?.({ expired: purged, deleted: report.deleted.length, trimmed: report.trimmed.sessions });
  const policy = after === undefined ? undefined : now - after;
  // A dry run judges what the purge would leave.
  const purged = new Map<string, number>();
  if (expired) {
    if (dryRun) {
      const found = await maintenance.expired(policy);
      for (const { id, items } of found) purged.set(id, items);
      const items = found.reduce((sum, each) => sum + each.items, 0);
      report.expired = { items, sessions: found.length };
    } else {
      report.expired = await store.purgeExpired(
        defined({
          after,
          batch,
          maxAhead: settings.givenAhead,
          signal,
          onProgress: onProgress && (({ items }: { readonly items: number }) => tell(items)),
          ...origin,
        }),
      );
    }
  }
  if (age === undefined && idle === undefined && keep === undefined) return report;
  const judge = await judgeOf(store, settings, now);
  for await (const summary of listed(store, { derived: 'all' })) {
    signal?.throwIfAborted();
    const { id } = summary;
    const left = summary.items - (purged.get(id) ?? 0);
    if (left <= 0) continue;
    const { condition, excess, of } = judge({ ...summary, items: left });
    try {
      if (condition !== undefined) {
        const gone = await dropTree(target, id, condition, dryRun, of);
        if (gone === undefined) continue;
        report.deleted.push(id);
        for (const [kind, count] of Object.entries(countKinds(gone))) {
          report.derived[kind] = (report.derived[kind] ?? 0) + count;
        }
      } else if (excess > 0) {
        if (dryRun) await maintenance.assertNotHeld([id]);
        const count = dryRun ? excess : await remove(id, async () => maintenance.trim(id, keep as number));
        report.trimmed = {
          items: report.trimmed.items + count,
          sessions: report.trimmed.sessions + (count > 0 ? 1 : 0),
        };
      }
      if (!dryRun && (condition !== undefined || excess > 0)) tell(report.expired.items);
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      report.held.push(id);
    }
  }
  return report;
}

/** The decision of the rules about a session. */
type Judge = (summary: SessionSummary) => {
  /** The session is deleted if this still applies. */
  readonly condition: DropCondition | undefined;
  /** It is deleted as a part of this conversation, which has no row of its own any more: a hold anywhere in that keeps it. */
  readonly of?: string;
  /** How many of its oldest items are deleted. */
  readonly excess: number;
};

/**
 * A conversation is as young as its youngest derived session: a user may continue in a branch. A derived session is
 * deleted with its conversation, and by its own age; by its own inactivity only when the conversation no longer
 * exists.
 */
async function judgeOf(
  store: RetentionTarget['store'],
  settings: RetentionSettings,
  now: number,
): Promise<Judge> {
  const { age, idle, keep } = settings;
  const lastAt = new Map<string, number>();
  const roots = new Set<string>();
  if (idle !== undefined) {
    for await (const { id, root = id, lastAt: last } of listed(store, { derived: 'all' })) {
      lastAt.set(root, Math.max(lastAt.get(root) ?? last, last));
      if (root === id) roots.add(id);
    }
  }
  return ({ id, root = id, kind, firstAt, items }) => {
    const isConversation = kind === undefined;
    const isOld = age !== undefined && firstAt <= now - age && holdsConversation(id);
    const isSilent =
      idle !== undefined && (isConversation || !roots.has(root)) && (lastAt.get(root) ?? now) <= now - idle;
    const excess =
      keep === undefined || !(isConversation || kind === 'branch') ? 0 : Math.max(items - keep, 0);
    if (isOld) return { condition: { firstBefore: now - age }, excess };
    if (!isSilent) return { condition: undefined, excess };
    return { condition: { lastBefore: now - idle }, excess, of: root };
  };
}

/**
 * The session first, by a condition that is checked again; then its derived sessions. After a crash the next run
 * judges the remaining ones by themselves.
 *
 * @returns Ids of its derived sessions; `undefined` when the session was kept.
 */
async function dropTree(
  { maintenance, remove, erase }: RetentionTarget,
  id: string,
  condition: DropCondition,
  dryRun: boolean,
  of = id,
): Promise<readonly string[] | undefined> {
  const tree = await maintenance.tree(id);
  await maintenance.assertNotHeld([...tree, id, of]);
  if (dryRun) return tree;
  if (!(await remove(id, async () => maintenance.dropIf(id, condition)))) return undefined;
  for (const each of tree) await erase(each);
  return tree;
}
