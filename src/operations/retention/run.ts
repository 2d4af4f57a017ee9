import { randomName } from '../../crypto/random.ts';
import { StrongroomError } from '../../errors.ts';
import { checkOptions } from '../../options.ts';
import { renewLease } from '../../renew-lease.ts';
import { WHERE, type RetentionSettings } from './options.ts';
import type { RetentionReport, RetentionRunOptions } from './report.ts';
import { applyRules } from './rules.ts';
import type { RetentionTarget } from './target.ts';

const LEASE = 'job retention';
/** Renewed long before its end; when the process dies another one can begin after this time. */
const LEASE_TIME = 60_000;

/** One run, under the lock of the store. */
export async function runOnce(
  target: RetentionTarget,
  settings: RetentionSettings,
  runOptions: RetentionRunOptions = {},
): Promise<RetentionReport> {
  checkOptions(`${WHERE}: run`, runOptions, ['dryRun', 'signal', 'onProgress']);
  const { dryRun = false, signal, onProgress } = runOptions;
  signal?.throwIfAborted();
  if (dryRun) return await applyRules(target, settings, true, signal);
  // A new name for each run: with a fixed name each clone of the process would be the same owner.
  const owner = randomName();
  if (!(await target.maintenance.leases.acquire(LEASE, owner, LEASE_TIME))) {
    const none = { items: 0, sessions: 0 };
    return { dryRun, skipped: true, expired: none, deleted: [], derived: {}, trimmed: none, held: [] };
  }
  const lost = new AbortController();
  const stopRenewing = renewLease(target.maintenance.leases, { lease: LEASE, owner }, LEASE_TIME, {
    answered(kept) {
      if (kept) return;
      lost.abort(
        new StrongroomError(
          'ERR_CONFLICT',
          `${WHERE}: another process took over the lease. This run stopped; the other process continues.`,
        ),
      );
    },
    failed: (error) => lost.abort(error),
  });
  try {
    return await applyRules(
      target,
      settings,
      false,
      signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]),
      onProgress,
    );
  } finally {
    stopRenewing();
    await target.maintenance.leases.release(LEASE, owner);
  }
}
