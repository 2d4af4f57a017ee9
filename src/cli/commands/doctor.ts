import { styleText } from 'node:util';
import type { LoadedConfig } from '../load-config.ts';
import type { Opened } from '../../config/define-config.ts';
import { isStrongroomError } from '../../errors.ts';
import { asCall } from '../../operations/as-call.ts';
import { searchReturned } from '../../operations/erasure.ts';
import { messageWithCauses } from '../causes.ts';
import type { Context, Define } from '../command.ts';
import { checkCopies } from '../doctor/copies.ts';
import { checkDatabase } from '../doctor/database.ts';
import type { Finding, Report } from '../doctor/finding.ts';
import { checkStoredKeys } from '../doctor/keys.ts';
import { checkRecords } from '../doctor/records.ts';
import { checkRetention } from '../doctor/retention.ts';
import { checkSdk } from '../doctor/sdk.ts';
import { checkStack } from '../doctor/stack.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, plain, shown } from '../output.ts';

const COLOR = { error: 'red', warning: 'yellow', note: 'cyan' } as const;

export function registerDoctor(define: Define): void {
  define(
    'doctor',
    'look for what loses data, copies content or cannot be read; changes nothing',
    async (context, { all }: { readonly all?: true }) => {
      const { output } = context;
      const sums = { error: 0, warning: 0, note: 0 };
      const report: Report = (level, check, what, next) => {
        sums[level]++;
        const finding: Finding = { level, check, what, next };
        const mark = output.json ? level : styleText(COLOR[level], level);
        output.line('finding', finding, `${mark}  ${plain(what)}\n  ${plain(next)}`);
      };
      const loaded = await context.config();
      checkSdk(loaded.file, report);
      checkCopies(loaded.config.run, process.env, report);
      const opened = await openOrReport(context, report);
      if (opened !== undefined && (await checkDatabase(opened.bare, report)))
        await asCall(opened.store, 'checkKeys', context.origin, async () =>
          checkContents(context, loaded, opened, all === true, report),
        );
      output.line(
        'result',
        { errors: sums.error, warnings: sums.warning, notes: sums.note },
        `${counted(sums.error, 'error')}, ${counted(sums.warning, 'warning')}, ${counted(sums.note, 'note')}.`,
      );
      return sums.error + sums.warning === 0 ? EXIT.done : EXIT.findings;
    },
  ).option('--all', 'look into every record, and for erased sessions that came back');
}

/** A wrong order of layers, or a key that is not there, is a finding like any other. */
async function openOrReport(context: Context, report: Report): Promise<Opened | undefined> {
  try {
    return await context.open();
  } catch (error) {
    if (!isStrongroomError(error)) throw error;
    const check = error.code === 'ERR_LAYER_ORDER' ? 'stack.order' : 'config';
    report(
      'error',
      check,
      `${error.code}: ${messageWithCauses(error)}`,
      'Until then nothing else can be checked.',
    );
    return undefined;
  }
}

async function checkContents(
  { origin, signal }: Context,
  { config }: LoadedConfig,
  opened: Opened,
  all: boolean,
  report: Report,
): Promise<void> {
  const { store } = opened;
  await checkStack(store, config.retention !== undefined, report);
  try {
    await checkStoredKeys(opened, signal, report);
  } catch (error) {
    if (!isStrongroomError(error) || error.code !== 'ERR_MALFORMED') throw error;
    const next = 'Until then not all keys can be checked. strongroom verify names the sessions.';
    report('error', 'drift.damaged', `${error.code}: ${messageWithCauses(error)}`, next);
  }
  await checkRetention(store, config.retention, origin, report);
  await checkRecords(store, all, signal, report);
  if (!all) return;
  for await (const { id } of searchReturned(store)) {
    report(
      'error',
      'erasure.returned',
      `The session ${shown(id)} was erased, and its old items are back: from a restored backup, for example.`,
      `Run strongroom erase --session ${JSON.stringify(id)}.`,
    );
  }
}
