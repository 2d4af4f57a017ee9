import { holdsConversation } from '../../derived-id.ts';
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
  const overdue = new Set<string>();
  if (expired) {
    const found = await maintenance.expired(after === undefined ? undefined : then - after, then);
    for (const { id } of found) overdue.add(id);
  }
  if (age !== undefined) {
    const before = then - age;
    for (const { id } of await maintenance.expired(before, 0)) {
      // Data keys and values behind tokens are as old as they may be, as long as their conversation is not.
      if (overdue.has(id) || !holdsConversation(id)) continue;
      // A summary is as young as its writing to this rule, and to a purge as old as what it stands for.
      const records = await maintenance.records(id);
      if (records.some(({ writtenAt }) => writtenAt <= before)) overdue.add(id);
    }
  }
  return overdue.size;
}

/** Warns before a run, which then deletes the overdue records. */
export function warnOfOverdue(sessions: number): void {
  if (sessions === 0) return;
  warn(
    'STRONGROOM_RETENTION_OVERDUE',
    `${WHERE}: nothing has purged this store for longer than the shortest period of the rules: ${sessions} sessions have records that were to be deleted by then. Call start(), or run() more often.`,
  );
}
