import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { loadKey } from '../../config/key-reference.ts';
import { defined } from '../../defined.ts';
import { verifyErasure, verifyReceipt } from '../../operations/retention.ts';
import type { Define } from '../command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { counted, shown, shownTime } from '../output.ts';

interface ReceiptFlags {
  readonly key: string;
  readonly subject?: string;
  readonly session?: string;
  readonly search?: true;
}

export function registerReceipt(define: Define, program: Command): void {
  const receipt = program.command('receipt').description('receipts of erasures');
  define(
    'verify',
    'check who signed a receipt and what it says; with --search also that nothing came back',
    async (context, file: string, { key, subject, session, search }: ReceiptFlags) => {
      const { output, origin } = context;
      const text = readText(file);
      const about = defined({ subject, sessionId: session });
      const erasure = await verifyReceipt(text, loadKey({ file: key }), about);
      const of =
        erasure.subject === undefined
          ? `session ${shown(erasure.sessionId ?? '')}`
          : `subject ${shown(erasure.subject)}`;
      const { at, by, reason, sessions, held } = erasure;
      output.line(
        'receipt',
        defined({
          at,
          by,
          reason,
          subject: erasure.subject,
          sessionId: erasure.sessionId,
          sessions: sessions.length,
          held: held.length,
        }),
        `The signature is right: ${counted(sessions.length, 'session')} of ${of} erased ${shownTime(at)}${by === undefined ? '' : ` by ${shown(by)}`}.`,
      );
      if (search === undefined) return EXIT.done;
      const { store } = await context.open({ keyless: true });
      const orphans = await verifyErasure(store, erasure, origin);
      for (const orphan of orphans)
        output.line(
          'orphan',
          orphan,
          `came back: ${orphan.count} ${orphan.what} of ${shown(orphan.sessionId)}. Run erase again.`,
        );
      output.line(
        'result',
        { orphans: orphans.length },
        orphans.length === 0 ? 'Nothing of it is in the store.' : '',
      );
      return orphans.length === 0 ? EXIT.done : EXIT.findings;
    },
    { parent: receipt },
  )
    .argument('<file>', 'the receipt: a JWS in its compact form')
    .requiredOption('--key <file>', 'the public key of the signer, as a JWK')
    .option('--subject <subject>', 'it must be about this subject')
    .option('--session <session>', 'it must be about this session')
    .option(
      '--search',
      'search the store of the configuration for what was erased, such as after a restored backup',
    );
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    throw new CommandError('USAGE', `The file ${file} cannot be read.`);
  }
}
