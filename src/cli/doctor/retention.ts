import { isStrongroomError } from '../../errors.ts';
import { retention, type RetentionOptions } from '../../operations/retention.ts';
import { checkRetentionOptions } from '../../operations/retention/options.ts';
import { overdueSessions } from '../../operations/retention/overdue.ts';
import type { CallOrigin } from '../../layer.ts';
import { MAINTENANCE } from '../../session-contract.ts';
import type { Store } from '../../stores/store.ts';
import { counted } from '../output.ts';
import type { Report } from './finding.ts';

/** Whether the rules are applied, and whether the clock that they use can be trusted. */
export async function checkRetention(
  store: Store,
  rules: RetentionOptions | undefined,
  origin: CallOrigin,
  report: Report,
): Promise<void> {
  const maintenance = store[MAINTENANCE];
  if (maintenance === undefined || rules === undefined) return;
  const settings = checkRetentionOptions(rules);
  try {
    await maintenance.checkClock('doctor', settings.maxAhead);
  } catch (error) {
    if (!isStrongroomError(error) || error.code !== 'ERR_CLOCK') throw error;
    report('error', 'clock', error.message, 'Correct the clock; purge refuses to run until then.');
    return;
  }
  const overdue = await overdueSessions(maintenance, settings);
  if (overdue > 0) {
    report(
      'error',
      'retention.overdue',
      `Nothing has purged this store for longer than the shortest period of the rules: ${counted(overdue, 'session')} have items that were to be deleted by then.`,
      'Run strongroom purge now, and each day from then on.',
    );
  }
  const { expired, deleted, trimmed } = await retention(store, { ...rules, ...origin }).run({ dryRun: true });
  const due = expired.items + deleted.length + trimmed.sessions;
  if (due > 0 && overdue === 0) {
    report(
      'note',
      'retention.due',
      `${counted(expired.items, 'expired item')}, ${counted(deleted.length, 'session')} and ${counted(trimmed.items, 'item')} beyond the number to keep are to be deleted.`,
      'Run strongroom purge, or wait for its next run.',
    );
  }
}
