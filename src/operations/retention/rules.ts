import { defined } from '../../defined.ts';
import { afterPurge } from './after-purge.ts';
import { WHERE, type RetentionSettings } from './options.ts';
import { overdueSessions, warnOfOverdue } from './overdue.ts';
import type { RetentionProgress, RetentionReport, RunningReport } from './report.ts';
import { applyToSessions } from './sessions.ts';
import type { RetentionTarget } from './target.ts';

/** One run of the rules. */
export async function applyRules(
  target: RetentionTarget,
  settings: RetentionSettings,
  dryRun: boolean,
  signal: AbortSignal | undefined,
  onProgress?: (progress: RetentionProgress) => void,
): Promise<RetentionReport> {
  const { store, maintenance } = target;
  const { expired, after, age, idle, keep, batch, origin } = settings;
  const needsClock = expired || age !== undefined || idle !== undefined;
  if (needsClock) {
    await maintenance.checkClock(WHERE, settings.maxAhead);
    if (!dryRun) warnOfOverdue(await overdueSessions(maintenance, settings));
  }
  const now = maintenance.now();
  const report: RunningReport = {
    dryRun,
    skipped: false,
    expired: { items: 0, sessions: 0 },
    deleted: [],
    derived: {},
    trimmed: { items: 0, sessions: 0 },
    held: [],
  };
  const tell = (purged: number): void =>
    onProgress?.({ expired: purged, deleted: report.deleted.length, trimmed: report.trimmed.sessions });
  const policy = after === undefined ? undefined : now - after;
  // A dry run judges what the purge would leave.
  const purged = expired && dryRun ? await afterPurge(maintenance, policy) : undefined;
  if (purged !== undefined) report.expired = purged.expired;
  else if (expired) {
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
  if (age === undefined && idle === undefined && keep === undefined) return report;
  await applyToSessions({
    target,
    settings,
    dryRun,
    signal,
    now,
    purged,
    report,
    tell: () => tell(report.expired.items),
  });
  return report;
}
