import type { AgentInputItem, Session } from '@openai/agents';
import { checkedRecords } from '../engine/inner-records.ts';
import type { OperationIO } from '../engine/rare-calls.ts';
import type { CallOrigin } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { encodeItem } from '../protocol/item.ts';
import { keyAccess, openOrShredded } from './access.ts';
import { asCall } from './as-call.ts';
import { detailsOf, type ItemDetails } from './item-details.ts';

export type { ItemDetails };

/** Options of {@link exportSession}. */
export interface ExportSessionOptions extends CallOrigin {
  /**
   * `true`: plain SDK items, as the session shows them, for the person they are about or for another library.
   * `false`: the stored records, sealed, for a backup.
   */
  readonly open: boolean;
}

/** A session as a document. */
export interface SessionExport {
  readonly type: 'strongroom/export';
  readonly version: 1;
  readonly sessionId: string;
  /** Unix milliseconds. */
  readonly exportedAt: number;
  readonly open: boolean;
  readonly items: readonly AgentInputItem[];
  /** With `open`, one element an item: when it was written (Unix milliseconds), and which agent said it, where that is known. */
  readonly details?: readonly ItemDetails[];
  /** The same as JSON; bytes in items become `{"$bytes":"<base64>"}`. */
  toJSON(): unknown;
}

/**
 * Exports one session. Reads through the whole stack when `open`: expired entries are omitted, values that `redact`
 * removed stay removed, and a record that does not open throws instead of being omitted.
 *
 * @throws `ERR_INVALID_OPTION`; the errors of reading the session.
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 * import { exportSession } from 'strongroom/keys';
 *
 * const keys = keyring({ current: await generateKey() });
 * const session = wrapSession(new MemorySession(), [encrypt({ keys })]);
 * console.log(JSON.stringify(await exportSession(session, { open: true })));
 * ```
 */
export async function exportSession(session: Session, options: ExportSessionOptions): Promise<SessionExport> {
  return asCall(session, 'exportSession', options, async (io) => document(session, options, io));
}

async function document(
  session: Session,
  options: ExportSessionOptions,
  io: OperationIO | undefined,
): Promise<SessionExport> {
  checkCall('exportSession', options, ['open']);
  const { open } = options;
  if (typeof open !== 'boolean') invalidOption('exportSession', 'open', 'true or false', open);
  const { inner, sessionId, scope, sealer } = await keyAccess('exportSession', session, originOf(options));
  const records = async (): Promise<AgentInputItem[]> => checkedRecords(await inner.getItems());
  if (open) {
    // onUndecryptable may let a read skip records that do not open; an export must be complete.
    for (const record of await records()) await openOrShredded(sealer, record, scope);
  }
  const entries = open && io !== undefined ? await io.visibleEntries() : undefined;
  const items = entries?.map(({ item }) => item) ?? (await records());
  const details = entries?.map(detailsOf);
  const head = {
    type: 'strongroom/export',
    version: 1,
    sessionId,
    exportedAt: scope.now,
    open,
  } as const;
  return {
    ...head,
    items,
    ...(details !== undefined && { details }),
    toJSON: () => ({ ...head, items: items.map((item) => JSON.parse(encodeItem(item)) as unknown), details }),
  };
}
