import { migrate } from '../../operations/migrate.ts';
import { holdsSealed } from '../../operations/targets.ts';
import type { Define } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, shown } from '../output.ts';
import { countedFirst } from '../plans.ts';
import { countSessions, oneOrAll, reportNoRecords } from '../targets.ts';

export function registerMigrate(define: Define): void {
  define(
    'migrate',
    'seal the plain items of existing sessions; encrypt() needs unsafeAllowPlaintext meanwhile',
    async (context, id?: string) => {
      const { output, origin, signal } = context;
      const { store } = await context.open();
      const count = async (): Promise<number> =>
        id === undefined ? (await countSessions(store, holdsSealed)).sessions : 1;
      const total = await countedFirst(context, store, count);
      if (context.dryRun) {
        output.line(
          'would',
          { sessions: total },
          `Would look for plain items in ${counted(total, 'session')}.`,
        );
        return EXIT.done;
      }
      const progress = output.progress({ unit: 'sessions', total });
      const report = await migrate(oneOrAll(store, id), {
        ...origin,
        signal,
        onProgress: ({ sessions }) => progress.at(sessions),
      });
      progress.end();
      for (const held of report.held)
        output.line('held', { id: held }, `held: ${shown(held)} keeps its plain items`);
      output.line(
        'result',
        { ...report, held: report.held.length },
        `Sealed ${counted(report.sealed, 'item')} of ${counted(report.sessions, 'session')}; ${counted(report.already, 'item')} were sealed before.`,
      );
      const isMissing = id !== undefined && report.sealed + report.already + report.held.length === 0;
      if (isMissing) reportNoRecords(output, id);
      return report.held.length === 0 && !isMissing ? EXIT.done : EXIT.findings;
    },
    { changes: true },
  ).argument('[session]', 'only this session');
}
