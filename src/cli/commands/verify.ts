import { holdsSealed } from '../../operations/targets.ts';
import { verifySessions } from '../../operations/verify-sessions.ts';
import type { Define } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, shown } from '../output.ts';
import { countSessions, oneOrAll, reportNoRecords } from '../targets.ts';

export function registerVerify(define: Define): void {
  define(
    'verify',
    'open every record, and say which do not open; changes nothing',
    async (context, id?: string) => {
      const { output, origin, signal } = context;
      const { store } = await context.open();
      const total = id === undefined ? (await countSessions(store, holdsSealed)).sessions : 1;
      const progress = output.progress({ unit: 'sessions', total });
      const report = await verifySessions(oneOrAll(store, id), {
        ...origin,
        signal,
        onProgress: ({ sessions }) => progress.at(sessions),
      });
      progress.end();
      const { failures, ...sums } = report;
      for (const failure of failures) {
        const where = failure.index === undefined ? 'its records as a whole' : `record ${failure.index}`;
        output.line('failure', failure, `${failure.code}  ${shown(failure.sessionId)}, ${where}`);
      }
      output.line(
        'result',
        sums,
        `${counted(sums.records, 'record')} in ${counted(sums.sessions, 'session')}: ${sums.failed} failed, ${sums.shredded} erased by their keys.`,
      );
      const isMissing = id !== undefined && sums.records === 0 && sums.failed === 0;
      if (isMissing) reportNoRecords(output, id);
      return sums.failed === 0 && !isMissing ? EXIT.done : EXIT.findings;
    },
  ).argument('[session]', 'only this session');
}
