import { defined } from '../../defined.ts';
import type { Define } from '../command.ts';
import { counted, shown, shownTime } from '../output.ts';

interface SessionsFlags {
  readonly subject?: string;
  readonly derived?: true;
  readonly all?: true;
}

export function registerSessions(define: Define): void {
  define('sessions', 'list the sessions that hold items; needs no key', async (context, flags) => {
    const { subject, derived, all } = flags as SessionsFlags;
    const { output, origin, signal } = context;
    const { store } = await context.open({ keyless: true });
    const kinds = all === true ? ('all' as const) : derived === true;
    const sums = { sessions: 0, items: 0, bytes: 0 };
    for await (const summary of store.sessions(defined({ subject, derived: kinds, ...origin }))) {
      signal.throwIfAborted();
      const { id, items, bytes, lastAt, kind } = summary;
      sums.sessions++;
      sums.items += items;
      sums.bytes += bytes;
      const of = [counted(items, 'item'), counted(bytes, 'byte'), `last ${shownTime(lastAt)}`];
      if (kind !== undefined) of.unshift(kind);
      if (summary.subject !== undefined) of.push(`subject ${shown(summary.subject)}`);
      output.line('session', summary, `${shown(id)}  ${of.join(' · ')}`);
    }
    output.line(
      'sum',
      sums,
      `${counted(sums.sessions, 'session')}, ${counted(sums.items, 'item')}, ${counted(sums.bytes, 'byte')}.`,
    );
  })
    .option('--subject <subject>', 'only those of this subject')
    .option('--derived', 'only what belongs to conversations: branches, archives, ledgers, vaults')
    .option('--all', 'both');
}
