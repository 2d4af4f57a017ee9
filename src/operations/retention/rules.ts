import type { Session } from '@openai/agents';
import { defined } from '../../defined.ts';
import { holdsConversation } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import type { Store } from '../../stores/store.ts';
import { listed } from '../listed.ts';
import { WHERE, type RetentionSettings } from './options.ts';
import type { RetentionReport } from './report.ts';

/** What the rules work on. */
export interface RetentionTarget {
  readonly store: Store<Session>;
  readonly maintenance: Maintenance;
  /** Work that removes from a session, as a call of its own on a wrapped store. */
  readonly remove: <T>(id: string, work: () => Promise<T>) => Promise<T>;
}

/** One run of the rules. */
export async function applyRules(
  target: RetentionTarget,
  settings: RetentionSettings,
  dryRun: boolean,
  signal: AbortSignal | undefined,
): Promise<RetentionReport> {
  const { store, maintenance, remove } = target;
  const { expired, after, age, idle, keep, batch, origin } = settings;
  const needsClock = expired || age !== undefined || idle !== undefined;
  if (needsClock) await maintenance.checkClock(WHERE, settings.maxAhead);
  const now = maintenance.now();
  const report = {
    dryRun,
    skipped: false,
    expired: { items: 0, sessions: 0 },
    deleted: [] as string[],
    trimmed: { items: 0, sessions: 0 },
    held: [] as string[],
  };
  const policy = after === undefined ? undefined : now - after;
  if (expired) {
    if (dryRun) {
      const found = await maintenance.expired(policy);
      const items = found.reduce((sum, each) => sum + each.items, 0);
      report.expired = { items, sessions: found.length };
    } else {
      report.expired = await store.purgeExpired(
        defined({ after, batch, maxAhead: settings.givenAhead, signal, ...origin }),
      );
    }
  }
  if (age === undefined && idle === undefined && keep === undefined) return report;
  for await (const { id, items, firstAt, lastAt } of listed(store, { derived: 'all' })) {
    if (!holdsConversation(id)) continue;
    signal?.throwIfAborted();
    const old = age !== undefined && firstAt <= now - age;
    const silent = idle !== undefined && lastAt <= now - idle;
    const excess = keep === undefined ? 0 : Math.max(items - keep, 0);
    try {
      if (old || silent) {
        const gone =
          dryRun ||
          (await remove(id, async () =>
            maintenance.dropIf(id, old ? { firstBefore: now - age } : { lastBefore: now - (idle as number) }),
          ));
        if (gone) report.deleted.push(id);
      } else if (excess > 0) {
        const count = dryRun ? excess : await remove(id, async () => maintenance.trim(id, keep as number));
        report.trimmed = {
          items: report.trimmed.items + count,
          sessions: report.trimmed.sessions + (count > 0 ? 1 : 0),
        };
      }
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      report.held.push(id);
    }
  }
  return report;
}
