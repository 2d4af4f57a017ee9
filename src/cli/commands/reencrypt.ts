import { reencrypt } from '../../operations/reencrypt.ts';
import { sessionsWithKeysOf } from '../../operations/targets.ts';
import type { Duration } from '../../options.ts';
import type { Define } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, shown } from '../output.ts';
import { countedFirst } from '../plans.ts';
import { oneOrAll, reportNoRecords } from '../targets.ts';

interface ReencryptFlags {
  readonly grace?: Duration;
}

export function registerReencrypt(define: Define): void {
  define(
    'reencrypt',
    'seal every item under new data keys and destroy the old ones: after a key was stolen',
    async (context, id: string | undefined, { grace }: ReencryptFlags) => {
      const { output, origin, signal } = context;
      const { store } = await context.open();
      const target = oneOrAll(store, id);
      const count = async (): Promise<number> => {
        let sessions = 0;
        for await (const _ of sessionsWithKeysOf('reencrypt', target)) sessions++;
        return sessions;
      };
      const total = await countedFirst(context, store, count);
      if (context.dryRun) {
        output.line('would', { sessions: total }, `Would seal ${counted(total, 'session')} anew.`);
        return EXIT.done;
      }
      await context.confirm({
        what: `This seals ${counted(total, 'session')} anew and destroys the old data keys: backups of the items cannot be read afterwards.`,
        word: id ?? 'reencrypt',
      });
      const progress = output.progress({ unit: 'sessions', total });
      const report = await reencrypt(target, {
        ...origin,
        signal,
        // "0" of the command line is the number.
        ...(grace !== undefined && { grace: /^\d+$/.test(String(grace)) ? Number(grace) : grace }),
        onProgress: ({ sessions }) => {
          progress.at(sessions);
          if (sessions === total)
            output.hint('All items are sealed anew. Waiting until no process uses the old keys …');
        },
      });
      progress.end();
      const { destroyed, held, failures = [], ...sums } = report;
      for (const sessionId of held)
        output.line('held', { id: sessionId }, `held: ${shown(sessionId)} keeps its old data keys`);
      for (const { sessionId, code } of failures)
        output.line(
          'failed',
          { id: sessionId, code },
          `failed: ${shown(sessionId)} is not finished: ${code}`,
        );
      output.line(
        'result',
        { ...sums, destroyed: destroyed.length, held: held.length, failed: failures.length },
        `Sealed ${counted(sums.entries, 'item')} of ${counted(sums.sessions, 'session')} anew; destroyed ${counted(destroyed.length, 'data key')}.`,
      );
      const isMissing =
        id !== undefined &&
        sums.entries + sums.shredded + destroyed.length + held.length + failures.length === 0;
      if (isMissing) reportNoRecords(output, id);
      return held.length === 0 && failures.length === 0 && !isMissing ? EXIT.done : EXIT.findings;
    },
    { changes: true, asks: true },
  )
    .argument('[session]', 'only this session')
    .option(
      '--grace <duration>',
      'how long other processes may still use the old data keys, such as 5m (default); 0 if there are none',
    );
}
