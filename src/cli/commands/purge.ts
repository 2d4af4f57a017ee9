import { setTimeout as sleep } from 'node:timers/promises';
import { retention, type RetentionReport } from '../../operations/retention.ts';
import type { Define } from '../command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { counted, shown } from '../output.ts';

/** A run that was killed keeps the lock of the store for a minute. */
const PATIENCE = 90;

export function registerPurge(define: Define): void {
  define(
    'purge',
    'delete what the retention rules of the configuration say; needs no key',
    async (context) => {
      const { output, origin, signal } = context;
      const { config } = await context.config();
      if (config.retention === undefined) {
        throw new CommandError(
          'USAGE',
          'purge: the configuration has no rules. Add retention, for example { expired: true, maxIdle: "90d" }.',
        );
      }
      const { store } = await context.open({ keyless: true });
      const rules = retention(store, { ...config.retention, ...origin });
      const planned = await rules.run({ dryRun: true, signal });
      if (context.dryRun) return report(planned);
      const total = planned.expired.items + planned.deleted.length + planned.trimmed.sessions;
      await context.confirm({
        what: `This deletes ${textOf(planned)} for good.`,
        word: 'purge',
      });
      const progress = output.progress({ unit: 'deletions', total });
      const run = (): Promise<RetentionReport> =>
        rules.run({
          signal,
          onProgress: ({ expired, deleted, trimmed }) => progress.at(expired + deleted + trimmed),
        });
      let done = await run();
      for (let waited = 0; done.skipped && waited < PATIENCE; waited++) {
        if (waited === 0)
          output.hint('Another process is running the rules, or died less than a minute ago. Waiting …');
        await sleep(1_000, undefined, { signal });
        done = await run();
      }
      progress.end();
      return report(done);

      function report(result: RetentionReport): typeof EXIT.done | typeof EXIT.findings | typeof EXIT.later {
        for (const id of result.held) output.line('held', { id }, `held: ${shown(id)}`);
        const { deleted, held, ...sums } = result;
        const verb = result.dryRun ? 'Would delete' : 'Deleted';
        output.line(
          'result',
          { ...sums, deleted: deleted.length, held: held.length },
          result.skipped
            ? 'Another process is running the rules; nothing was done here.'
            : `${verb} ${textOf(result)}.`,
        );
        if (result.skipped) return EXIT.later;
        return held.length === 0 ? EXIT.done : EXIT.findings;
      }
    },
    { changes: true, asks: true },
  );
}

function textOf({ expired, deleted, trimmed, held }: RetentionReport): string {
  const parts = [
    `${counted(expired.items, 'expired item')} of ${counted(expired.sessions, 'session')}`,
    counted(deleted.length, 'whole session'),
    `${counted(trimmed.items, 'item')} beyond the number to keep`,
  ];
  return (
    parts.join(', ') + (held.length === 0 ? '' : `; ${counted(held.length, 'session')} under a hold stay`)
  );
}
