import { resolve } from 'node:path';
import { defined } from '../../defined.ts';
import { transfer, type TransferReport } from '../../operations/transfer.ts';
import { openSqlite } from '../../stores/sqlite.ts';
import type { Store } from '../../stores/store.ts';
import type { Context, Define } from '../command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { loadConfig } from '../load-config.ts';
import { counted, shown } from '../output.ts';
import { countedFirst } from '../plans.ts';
import { countSessions } from '../targets.ts';

interface TransferFlags {
  readonly to?: string;
  readonly toFile?: string;
}

export function registerTransfer(define: Define): void {
  define(
    'transfer',
    'copy all sessions to another store, sealed as they are; needs no key',
    async (context, flags: TransferFlags) => {
      const { output, origin, signal } = context;
      if ((flags.to === undefined) === (flags.toFile === undefined)) {
        throw new CommandError(
          'USAGE',
          'transfer: give either --to with a configuration, or --to-file with a SQLite file.',
        );
      }
      const { store } = await context.open({ keyless: true });
      const count = async (): Promise<{ sessions: number; items: number }> =>
        countSessions(store, () => true);
      const { sessions: total, items } = await countedFirst(context, store, count);
      if (context.dryRun) {
        // Not opened: that could create it.
        if (flags.to !== undefined) await loadConfig(flags.to, process.cwd());
        output.line(
          'would',
          { sessions: total, items },
          `Would copy ${counted(total, 'session')} with ${counted(items, 'item')}.`,
        );
        return EXIT.done;
      }
      const target = await openTarget(context, flags);
      const progress = output.progress({ unit: 'sessions', total });
      let report: TransferReport;
      try {
        report = await transfer(store, target, {
          ...origin,
          signal,
          onProgress: ({ sessions }) => progress.at(sessions),
        });
      } finally {
        if (flags.toFile !== undefined) await target.close();
      }
      progress.end();
      const { erased, ...sums } = report;
      for (const id of erased)
        output.line('erased', { id }, `${shown(id)} was erased in the target, and was not copied.`);
      output.line(
        'result',
        { ...sums, erased: erased.length },
        `${counted(sums.sessions, 'session')} are equal in both stores; ${counted(sums.items, 'item')} were written now.`,
      );
      return EXIT.done;
    },
    { changes: true },
  )
    .option('--to <file>', 'the configuration of the target')
    .option('--to-file <file>', 'a SQLite file as the target, such as for an archive');
}

/** The store of a configuration is closed with the others. */
async function openTarget(context: Context, { to, toFile }: TransferFlags): Promise<Store> {
  if (toFile !== undefined) return openSqlite(resolve(toFile));
  return (await context.open({ keyless: true, ...defined({ config: to }) })).store;
}
