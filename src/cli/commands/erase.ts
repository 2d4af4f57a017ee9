import { existsSync } from 'node:fs';
import { defined } from '../../defined.ts';
import { isReserved } from '../../derived-id.ts';
import { tryReceiptKey } from '../../operations/erasure/jws.ts';
import { eraseSession, eraseSubject, type ErasureReport } from '../../operations/retention.ts';
import { shred } from '../../operations/shred.ts';
import { MAINTENANCE } from '../../session-contract.ts';
import type { Store } from '../../stores/store.ts';
import type { Context, Define } from '../command.ts';
import { newDraft, removeLeftDrafts } from '../draft.ts';
import { CommandError, EXIT, type ExitCode } from '../exit-codes.ts';
import { counted, shown } from '../output.ts';
import { assertNotHeld, countedFirst, isHeld, looking } from '../plans.ts';
import { sessionOf } from '../targets.ts';

interface EraseFlags {
  readonly subject?: string;
  readonly session?: string;
  readonly reason?: string;
  readonly receipt?: string;
}

export function registerErase(define: Define): void {
  define(
    'erase',
    'erase all sessions of a subject, or one session, with all that belongs to them; needs no key',
    erase,
    { changes: true, asks: true },
  )
    .option('--subject <subject>', 'all sessions of this subject')
    .option('--session <session>', 'this session')
    .option('--reason <text>', 'why, for the receipt')
    .option('--receipt <file>', 'a new file for the signed receipt; needs receiptKey in the configuration');
}

async function erase(context: Context, { subject, session, reason, receipt }: EraseFlags): Promise<ExitCode> {
  const { output, origin, signal } = context;
  const about = subject ?? session;
  if (about === undefined || (subject !== undefined && session !== undefined)) {
    throw new CommandError('USAGE', 'erase: give either --subject or --session.');
  }
  const receiptKey = receipt === undefined ? undefined : (await context.config()).receiptKey();
  if (receipt !== undefined && receiptKey === undefined) {
    throw new CommandError(
      'USAGE',
      'erase: --receipt needs receiptKey in the configuration. Make a key with: strongroom keygen --receipt.',
    );
  }
  if (receipt !== undefined && existsSync(receipt)) {
    throw new CommandError('USAGE', `erase: the file ${receipt} exists. Name a new file for the receipt.`);
  }
  const { store } = await context.open({ keyless: true });
  const look = async (): Promise<Plan> => plan(store, subject, session);
  const { ids, items, held } = await countedFirst(context, store, look);
  const what = `${counted(ids.length, 'session')} of ${subject === undefined ? 'session' : 'subject'} ${shown(about)} with ${counted(items, 'item')}`;
  if (context.dryRun) {
    for (const id of ids) output.line('would', { id }, shown(id));
    output.line(
      'sum',
      { sessions: ids.length, items, held },
      `Would erase ${what}${held ? '; what is under a hold stays' : ''}.`,
    );
    if (receiptKey !== undefined) await tryReceiptKey('erase', receiptKey);
    return held ? EXIT.findings : EXIT.done;
  }
  await context.confirm({ what: `This erases ${what} for good.`, word: about });
  const progress = output.progress({ unit: 'conversations' });
  const options = {
    ...defined({ reason, receiptKey }),
    by: origin.actor as string,
    ...origin,
    signal,
    onProgress: ({ done }: { readonly done: number }) => progress.at(done),
  };
  const eraseNow = async (): Promise<ErasureReport> =>
    subject === undefined
      ? eraseSession(store, about, { ...options, derived: isReserved(about) })
      : eraseSubject(store, subject, options);
  const report = receipt === undefined ? await eraseNow() : await withReceipt(context, receipt, eraseNow);
  progress.end();
  return printErasure(context, report, receipt);
}

/** A receipt cannot be made again: its place is made before anything is erased, and else it is printed. */
async function withReceipt(
  context: Context,
  receipt: string,
  eraseNow: () => Promise<ErasureReport>,
): Promise<ErasureReport> {
  // Its process ended after it had erased and before it gave the receipt its name.
  for (const left of removeLeftDrafts(receipt, (bytes) => bytes === 0)) {
    context.output.warning(
      'RECEIPT_LEFT',
      `An erase that was killed has left its receipt in ${left}. Keep it: what it names cannot be in another receipt.`,
    );
  }
  const draft = newDraft(receipt, 0o600);
  let report: ErasureReport | undefined;
  try {
    report = await eraseNow();
    draft.finish(`${report.receipt}\n`);
    return report;
  } catch (error) {
    draft.remove();
    if (report?.receipt !== undefined) {
      context.output.line('receipt', { receipt: report.receipt }, report.receipt);
      printErasure(context, report, undefined);
    }
    throw error;
  }
}

function printErasure({ output }: Context, report: ErasureReport, file: string | undefined): ExitCode {
  const { held, orphans, sessions, kinds } = report;
  for (const id of held) output.line('held', { id }, `held: ${shown(id)} stays, because of a legal hold`);
  for (const orphan of orphans)
    output.line(
      'orphan',
      orphan,
      `left: ${orphan.count} ${orphan.what} of ${shown(orphan.sessionId)}. Run erase again.`,
    );
  const records = sessions.reduce((sum, session) => sum + session.records, 0);
  const keys = sessions.reduce((sum, session) => sum + session.keys.length, 0);
  const end = file === undefined ? '' : ` The receipt is in ${file}.`;
  output.line(
    'result',
    {
      sessions: sessions.length,
      items: records,
      dataKeys: keys,
      kinds,
      held: held.length,
      orphans: orphans.length,
    },
    `Erased ${counted(sessions.length, 'session')} with ${counted(records, 'item')} and ${counted(keys, 'data key')}.${end}`,
  );
  for (const place of report.notReached) output.hint(`Not reached: ${place}`);
  return held.length + orphans.length === 0 ? EXIT.done : EXIT.findings;
}

/** What an erasure would remove, and whether a hold forbids a part of it. */
interface Plan {
  readonly ids: readonly string[];
  readonly items: number;
  readonly held: boolean;
}

async function plan(store: Store, subject: string | undefined, session: string | undefined): Promise<Plan> {
  const maintenance = store[MAINTENANCE];
  if (maintenance === undefined) {
    throw new CommandError(
      'USAGE',
      'erase: the store of the configuration is not one of strongroom, which records what belongs to a session.',
    );
  }
  const tops = subject === undefined ? [session as string] : await maintenance.ofSubject(subject);
  const ids = new Set<string>();
  for (const top of tops) for (const id of [...(await maintenance.tree(top)), top]) ids.add(id);
  let items = 0;
  for (const id of ids) items += (await maintenance.records(id)).length;
  return { ids: [...ids], items, held: await isHeld(store, [...ids]) };
}

export function registerShred(define: Define): void {
  define(
    'shred',
    'make a session unreadable in every copy of its items, by destroying its data keys',
    async (context, id: string, { reason }: { readonly reason?: string }) => {
      const { output, origin } = context;
      const { store } = await context.open();
      if (context.dryRun) {
        const { ids, items } = await looking(context, store, async () => plan(store, undefined, id));
        await assertNotHeld(store, ids);
        output.line(
          'would',
          { sessions: ids.length, items },
          `Would shred ${counted(ids.length, 'session')} with ${counted(items, 'item')}.`,
        );
        return;
      }
      await context.confirm({
        what: `This destroys the data keys of ${shown(id)} and of all that belongs to it. Nobody can read it afterwards.`,
        word: id,
      });
      const receipt = await shred(sessionOf(store, id), defined({ reason, by: origin.actor, ...origin }));
      const { keys, rowsCleared } = receipt;
      const rows = rowsCleared
        ? 'and removed the rows'
        : 'and could not remove the rows, which nobody can read';
      output.line('shred', receipt, `Destroyed ${counted(keys.length, 'data key')} of ${shown(id)} ${rows}.`);
    },
    { changes: true, asks: true },
  )
    .argument('<session>')
    .option('--reason <text>', 'why, for the receipt');
}
