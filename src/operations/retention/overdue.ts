import type { Maintenance } from '../../stores/maintenance.ts';
import { warn } from '../../warning.ts';
import { WHERE, type RetentionSettings } from './options.ts';

/**
 * The number of sessions with records whose deletion is overdue by more than the shortest period of the rules: a
 * purge at that interval would have found them. This state is not stored anywhere, so any process can purge.
 */
export async function overdueSessions(
  maintenance: Maintenance,
  { expired, after, age, idle }: RetentionSettings,
): Promise<number> {
  const periods = [after, age, idle].filter((period) => period !== undefined);
  if (periods.length === 0 || (!expired && age === undefined)) return 0;
  const then = maintenance.now() - Math.min(...periods);
  const oldest = [after, age].filter((period) => period !== undefined);
  const writtenBefore = oldest.length === 0 ? undefined : then - Math.min(...oldest);
  return (await maintenance.expired(writtenBefore, expired ? then : 0)).length;
}

/** Warns before a run, which then deletes the overdue records. */
export function warnOfOverdue(sessions: number): void {
  if (sessions === 0) return;
  warn(
    'STRONGROOM_RETENTION_OVERDUE',
    `${WHERE}: nothing has purged this store for longer than the shortest period of the rules: ${sessions} sessions have records that were to be deleted by then. Call start(), or run() more often.`,
  );
}
