import { defined } from '../../defined.ts';
import { holdsConversation } from '../../derived-id.ts';
import { exportSession } from '../../operations/export-session.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { Store } from '../../stores/store.ts';
import type { Context, Define } from '../command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { openLinesFile } from '../lines-file.ts';
import { counted } from '../output.ts';
import { sessionOf } from '../targets.ts';

interface ExportFlags {
  readonly subject?: string;
  readonly all?: true;
  readonly out: string;
}

export function registerExport(define: Define): void {
  define(
    'export',
    'write sessions in clear into a file, one JSON document a line; needs the keys',
    async (context, ids: readonly string[], { subject, all, out }: ExportFlags) => {
      const { output, origin, signal } = context;
      if ([ids.length > 0, subject !== undefined, all === true].filter(Boolean).length !== 1) {
        throw new CommandError('USAGE', 'export: give sessions, or --subject, or --all.');
      }
      const { store } = await context.open();
      const wanted = await chosen(context, store, ids, subject);
      // With the choice in its first line, so that another export does not continue this file.
      const file = await openLinesFile(out, {
        type: 'strongroom/exports',
        version: 1,
        ...defined({ ids, subject, all }),
      });
      const progress = output.progress({ unit: 'sessions', total: wanted.length });
      let written = 0;
      for (const [index, { id, subject: of }] of wanted.entries()) {
        signal.throwIfAborted();
        if (!file.has(id)) {
          const document = await exportSession(sessionOf(store, id), { open: true, ...origin });
          file.add(id, { ...(document.toJSON() as object), ...(of !== undefined && { subject: of }) });
          written++;
        }
        progress.at(index + 1);
      }
      file.finish();
      progress.end();
      const sums = { sessions: wanted.length, written, file: out };
      output.line('result', sums, `Exported ${counted(wanted.length, 'session')} in clear to ${out}.`);
      return EXIT.done;
    },
  )
    .argument('[sessions...]')
    .option('--subject <subject>', 'all sessions of this subject, and what belongs to them')
    .option('--all', 'all sessions of the store')
    .requiredOption('--out <file>', 'a new file (mode 0600); an interrupted export continues');
}

type Chosen = Pick<SessionSummary, 'id' | 'subject'>;

async function chosen(
  { origin, output }: Context,
  store: Store,
  ids: readonly string[],
  subject: string | undefined,
): Promise<Chosen[]> {
  const found: Chosen[] = [];
  const leftOut = new Set<string>();
  for await (const summary of store.sessions({ ...defined({ subject }), derived: 'all', ...origin })) {
    if (ids.length > 0 ? ids.includes(summary.id) : holdsConversation(summary.id)) found.push(summary);
    else if (ids.length === 0 && summary.kind !== undefined) leftOut.add(summary.kind);
  }
  if (leftOut.has('branches')) {
    output.warning(
      'NOT_EXPORTED',
      'The notes on branches are not in an export: after an import the current branch of each conversation is main. strongroom transfer copies them.',
    );
  }
  if (leftOut.has('vault'))
    output.warning(
      'NOT_EXPORTED',
      'The values of tokens (vaults) are not in an export. strongroom transfer copies them.',
    );
  const missing = ids.find((id) => !found.some((summary) => summary.id === id));
  if (missing === undefined) return found;
  throw new CommandError('USAGE', `export: there is no session ${JSON.stringify(missing)} with items.`);
}
