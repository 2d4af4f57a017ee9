import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { complianceReport, renderReport, type ComplianceReport } from '../../report/index.ts';
import type { Command } from 'commander';
import { randomName } from '../../crypto/random.ts';
import type { Define } from '../command.ts';
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

const MARK = '<!doctype html>';

/** A typing mistake must not replace a database or a key. */
function refuseOther(file: string): void {
  if (!existsSync(file) || readFileSync(file, 'latin1').startsWith(MARK)) return;
  throw new CommandError('USAGE', `report: ${file} exists and is no report. Choose another name for --out.`);
}

/** Whole or not at all. */
function writePage(file: string, page: string): void {
  const draft = `${file}.${randomName()}.new`;
  writeFileSync(draft, page, { mode: 0o600, flag: 'wx' });
  chmodSync(draft, 0o600);
  renameSync(draft, file);
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
