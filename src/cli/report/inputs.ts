import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JWK } from 'jose';
import { defined } from '../../defined.ts';
import { auditLines, type NamedReceipt, type ReportOptions } from '../../report/index.ts';
import type { Context } from '../command.ts';
import type { Opened } from '../../config/define-config.ts';
import { CommandError } from '../exit-codes.ts';

/** The flags of `report` and `serve` that say what is in a report. */
export interface InputFlags {
  readonly name?: string;
  readonly auditLog?: string;
  readonly receipts?: string;
  readonly receiptKey?: string;
  readonly keyless?: true;
}

/** The stores of a command, and how it makes a report of it. */
export interface ReportInputs extends Opened {
  /** Reads the files anew each time. */
  readonly options: () => ReportOptions;
}

/** Opens the store and finds the files: those of the flags, else those of the configuration. */
export async function openInputs(context: Context, flags: InputFlags, where: string): Promise<ReportInputs> {
  const loaded = await context.config();
  const { config } = loaded;
  const { keyless } = flags;
  const opened = await context.open({ keyless: keyless === true });
  const log = flags.auditLog ?? config.auditLog;
  const path = log instanceof URL ? fileURLToPath(log) : log;
  if (flags.auditLog !== undefined && !existsSync(flags.auditLog)) {
    throw new CommandError(
      'USAGE',
      `${where}: the audit log ${flags.auditLog} does not exist. Correct --audit-log.`,
    );
  }
  const own = flags.receiptKey === undefined && keyless !== true ? loaded.receiptKey() : undefined;
  const keys = [...(own === undefined ? [] : [own]), ...readKey(where, flags.receiptKey)];
  return {
    ...opened,
    options: () =>
      defined({
        name: flags.name,
        rule: config.retention,
        // Without keys the command has a keyring that knows none.
        keys: keyless === true ? undefined : opened.keys,
        auditLog: path !== undefined && existsSync(path) ? auditLines(path) : undefined,
        receipts: readReceipts(where, flags.receipts),
        receiptKeys: keys,
        ...context.origin,
      }),
  };
}

function readKey(where: string, file: string | undefined): JWK[] {
  if (file === undefined) return [];
  try {
    return [JSON.parse(readFileSync(file, 'utf8')) as JWK];
  } catch {
    throw new CommandError(
      'USAGE',
      `${where}: ${file} holds no public key as a JWK in JSON. Correct --receipt-key.`,
    );
  }
}

/** More than any receipt of an erasure of a person has. */
const MOST_BYTES = 16 * 2 ** 20;

/** One file, or all files of a folder. */
function readReceipts(where: string, path: string | undefined): NamedReceipt[] {
  if (path === undefined) return [];
  if (!existsSync(path)) {
    throw new CommandError('USAGE', `${where}: ${path} does not exist. Correct --receipts.`);
  }
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .toSorted()
        .map((name) => join(path, name))
    : [path];
  return files
    .filter((file) => statSync(file).isFile())
    .map((file) => ({
      name: basename(file),
      receipt: statSync(file).size > MOST_BYTES ? '' : readFileSync(file, 'utf8'),
    }));
}
