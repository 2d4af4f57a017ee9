import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { GENERATOR } from '../../report/page/document.ts';
import { complianceReport, renderReport, type ComplianceReport } from '../../report/index.ts';
import type { Command } from 'commander';
import type { Define } from '../command.ts';
import { newDraft, removeLeftDrafts } from '../draft.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { counted, type Output } from '../output.ts';
import { openInputs, type InputFlags } from './inputs.ts';

interface ReportFlags extends InputFlags {
  readonly out?: string;
}

export function registerReport(define: Define): void {
  withInputs(
    define(
      'report',
      'the state of the store for a compliance review: a page, or JSON',
      async (context, flags) => {
        const { out, ...given } = flags as ReportFlags;
        const { output, signal } = context;
        if (out !== undefined) refuseOther(out);
        const { store, options } = await openInputs(context, given, 'report');
        const progress = output.progress({ unit: 'items' });
        const report = await complianceReport(store, {
          ...options(),
          signal,
          onProgress: ({ items }) => progress.at(items),
        });
        progress.hide();
        if (out !== undefined) writePage(out, renderReport(report));
        print(output, report, out);
        return report.findings.some(({ level }) => level === 'problem') ? EXIT.findings : EXIT.done;
      },
    ),
  ).option('--out <file>', 'write the page here (mode 0600); an earlier report there is replaced');
}

/** The options of commands that make a report. */
export function withInputs(command: Command): Command {
  return command
    .option('--name <text>', 'a name for the store on the page')
    .option(
      '--audit-log <file>',
      'the audit log, one JSON object a line; default: auditLog of the configuration',
    )
    .option('--receipts <path>', 'a receipt of an erasure, or a folder of them')
    .option(
      '--receipt-key <file>',
      'the public key of the receipts, as a JWK; default: receiptKey of the configuration',
    )
    .option('--keyless', 'read no key: the states of keys are not known then');
}

/** A typing mistake must not replace a database, a key or a page of somebody else. */
function refuseOther(file: string): void {
  if (!existsSync(file) || (statSync(file).isFile() && beginOf(file).includes(GENERATOR))) return;
  throw new CommandError('USAGE', `report: ${file} exists and is no report. Choose another name for --out.`);
}

/** The first bytes, which hold the mark of a report. */
function beginOf(path: string): string {
  const bytes = Buffer.alloc(200);
  const file = openSync(path, 'r');
  try {
    return bytes.toString('latin1', 0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
}

/** Whole or not at all. */
function writePage(file: string, page: string): void {
  removeLeftDrafts(file, () => true);
  const draft = newDraft(file, 0o600);
  try {
    draft.finish(page);
  } catch (error) {
    draft.remove();
    throw error;
  }
}

function print(output: Output, report: ComplianceReport, out: string | undefined): void {
  const { conversations, items } = report.totals;
  const sum = `${counted(conversations, 'conversation')}, ${counted(items, 'item')}.`;
  const findings = report.findings.map(({ level, text, step }) => {
    return `${level.padEnd(7)}  ${text}${step === undefined ? '' : ` ${step}`}`;
  });
  output.line(
    'report',
    { ...report, ...(out !== undefined && { file: out }) },
    [sum, ...findings].join('\n'),
  );
  output.hint(
    out === undefined ? 'Add --out report.html for the page, or --json for all numbers.' : `Wrote ${out}.`,
  );
}
