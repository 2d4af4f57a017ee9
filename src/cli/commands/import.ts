import { existsSync } from 'node:fs';
import type { Session } from '@openai/agents';
import { isStrongroomError } from '../../errors.ts';
import { fileLines } from '../../file-lines.ts';
import { compareImport, importSession, type ImportReport } from '../../operations/import-session.ts';
import { isReserved } from '../../derived-id.ts';
import type { Context, Define } from '../command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { counted, shown } from '../output.ts';

interface ExportLine {
  readonly type: unknown;
  readonly sessionId: string;
  readonly subject?: unknown;
}

export function registerImport(define: Define): void {
  define(
    'import',
    'write the sessions of an export into the store, through its layers; needs the keys',
    async (context, file: string) => {
      const { output, signal } = context;
      if (!existsSync(file)) throw new CommandError('USAGE', `The file ${file} does not exist.`);
      const { store } = await context.open();
      let total = 0;
      for await (const _ of documentsOf(file)) total++;
      const progress = output.progress({ unit: 'sessions', total });
      const sums = { sessions: 0, written: 0, already: 0, conflicts: 0 };
      for await (const document of documentsOf(file)) {
        signal.throwIfAborted();
        const { sessionId: id, subject } = document;
        const session = store.session(id, {
          ...(typeof subject === 'string' && { subject }),
          ...(isReserved(id) && { derived: true }),
        });
        try {
          const { written, already } = await importOne(context, session, document);
          sums.written += written;
          sums.already += already;
        } catch (error) {
          if (!isStrongroomError(error) || error.code !== 'ERR_CONFLICT') throw error;
          sums.conflicts++;
          output.line('conflict', { id }, `${shown(id)} holds other items, and was left as it is.`);
        }
        progress.at(++sums.sessions);
      }
      progress.end();
      output.line(
        context.dryRun ? 'would' : 'result',
        sums,
        context.dryRun
          ? `Would import ${counted(sums.sessions - sums.conflicts, 'session')}: ${counted(sums.written, 'item')} would be written, ${counted(sums.already, 'item')} are there.`
          : `Imported ${counted(sums.sessions - sums.conflicts, 'session')}: ${counted(sums.written, 'item')} written, ${counted(sums.already, 'item')} there before.`,
      );
      return sums.conflicts === 0 ? EXIT.done : EXIT.findings;
    },
    { changes: true },
  ).argument('<file>', 'of strongroom export');
}

async function importOne(
  { dryRun, origin }: Context,
  session: Session,
  document: ExportLine,
): Promise<ImportReport> {
  if (!dryRun) return importSession(session, document, origin);
  const { items, already } = await compareImport(session, document, origin);
  return { written: items.length - already, already };
}

async function* documentsOf(file: string): AsyncIterable<ExportLine> {
  let isFirst = true;
  for await (const line of fileLines(file)) {
    const document = parse(line);
    const isExpected = isFirst
      ? document?.type === 'strongroom/exports'
      : typeof document?.sessionId === 'string';
    // An error of JSON.parse quotes the line.
    if (!isExpected) throw notAnExport(file);
    if (!isFirst) yield document as ExportLine;
    isFirst = false;
  }
  if (isFirst) throw notAnExport(file);
}

function parse(line: string): Partial<ExportLine> | undefined {
  try {
    return (JSON.parse(line) as Partial<ExportLine> | null) ?? undefined;
  } catch {
    return undefined;
  }
}

function notAnExport(file: string): CommandError {
  return new CommandError('USAGE', `${file} is not a file that export wrote, or is damaged.`);
}
