import { ancestorsOf, holdsConversation } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import type { SessionSummary } from '../../session-contract.ts';
import { countKinds } from '../../stores/tree.ts';
import { listed } from '../listed.ts';
import type { AfterPurge } from './after-purge.ts';
import { dropOld, dropSilent, type Dropping } from './drop.ts';
import { judgeOf, type Judge, type Verdict } from './judge.ts';
import type { RetentionSettings } from './options.ts';
import type { RunningReport } from './report.ts';
import type { RetentionTarget } from './target.ts';

/** A run, after its purge. */
export interface Run {
  readonly target: RetentionTarget;
  readonly settings: RetentionSettings;
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
  readonly now: number;
  /** What the purge would leave, in a dry run with one. */
  readonly purged: AfterPurge | undefined;
  readonly report: RunningReport;
  /** Called after each session that was changed. */
  readonly tell: () => void;
}

/** Deletes and cuts sessions by the rules for whole sessions. */
export async function applyToSessions(run: Run): Promise<void> {
  const { target, settings, dryRun, signal, now, purged, report, tell } = run;
  const { store, maintenance, remove } = target;
  const { age, idle, keep } = settings;
  const gone = new Set<string>();
  async function* sessions(): AsyncGenerator<SessionSummary> {
    for await (const summary of listed(store, { derived: 'all' })) {
      const left = purged === undefined ? summary : await purged.summary(summary);
      if (left === undefined) gone.add(summary.id);
      else yield left;
    }
  }
  const judge = await judgeOf(sessions(), settings, now);

  async function drop({ id, root = id }: SessionSummary, what: Verdict['what']): Promise<void> {
    const dropped: string[] = [];
    const dropping: Dropping = {
      target,
      dryRun,
      signal,
      isGone: (each) => gone.has(each),
      dropped(each) {
        gone.add(each);
        dropped.push(each);
      },
    };
    try {
      if (what === 'old') await dropOld(dropping, id, now - (age ?? Infinity));
      else {
        const period = (what === 'silent' ? idle : age) ?? Infinity;
        await dropSilent(dropping, root, judge.hasRoot(root), now - period);
      }
    } finally {
      addDropped(report, dropped);
    }
  }

  async function trim(id: string, excess: number, last: number): Promise<void> {
    let items = excess;
    if (!dryRun) items = await remove(id, async () => maintenance.trim(id, last));
    else if (await maintenance.isKept(id)) {
      report.held.push(id);
      return;
    }
    if (items === 0) return;
    report.trimmed = { items: report.trimmed.items + items, sessions: report.trimmed.sessions + 1 };
  }

  async function apply(summary: SessionSummary, { what, excess }: Verdict): Promise<void> {
    signal?.throwIfAborted();
    const { id } = summary;
    if (gone.has(id)) return;
    try {
      if (what !== 'kept') await drop(summary, what);
      else if (keep === undefined || excess === 0) return;
      else await trim(id, excess, keep);
      if (!dryRun) tell();
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      report.held.push(id);
    }
  }

  await inOrder(sessions(), judge, apply, (id) => gone.has(id));
}

/**
 * Conversations first, because they take their derived sessions with them; then derived sessions, for the same reason those
 * nearest to the conversation first; data keys, vaults and registers of branches last, when it is known what remains.
 */
async function inOrder(
  sessions: AsyncIterable<SessionSummary>,
  judge: Judge,
  apply: (summary: SessionSummary, verdict: Verdict) => Promise<void>,
  isGone: (id: string) => boolean,
): Promise<void> {
  const derived: { readonly summary: SessionSummary; readonly verdict: Verdict; readonly depth: number }[] =
    [];
  const rest: SessionSummary[] = [];
  /** Conversations without items of their own, of which other sessions remain. */
  const inhabited = new Set<string>();
  for await (const summary of sessions) {
    const { id, root } = summary;
    const verdict = judge.of(summary);
    if (root === undefined) await apply(summary, verdict);
    else if (verdict.what === 'rest') rest.push(summary);
    else if (verdict.what !== 'kept' || verdict.excess > 0) {
      derived.push({ summary, verdict, depth: ancestorsOf(id).length });
    } else if (!judge.hasRoot(root) && holdsConversation(id)) inhabited.add(root);
  }
  for (const { summary, verdict } of derived.toSorted((one, other) => one.depth - other.depth)) {
    await apply(summary, verdict);
    const { id, root = id } = summary;
    if (!isGone(id) && holdsConversation(id)) inhabited.add(root);
  }
  for (const summary of rest) {
    const { id, root = id } = summary;
    if (!inhabited.has(root)) await apply(summary, { what: 'rest', excess: 0 });
  }
}

/** A derived session counts with the session above it that was deleted in the same step. */
function addDropped(report: RunningReport, dropped: readonly string[]): void {
  const all = new Set(dropped);
  const below = dropped.filter((id) => ancestorsOf(id).some((above) => all.has(above)));
  for (const [kind, count] of Object.entries(countKinds(below))) {
    report.derived[kind] = (report.derived[kind] ?? 0) + count;
  }
  const isBelow = new Set(below);
  report.deleted.push(...dropped.filter((id) => !isBelow.has(id)));
}
