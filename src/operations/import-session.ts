import type { AgentInputItem, Session } from '@openai/agents';
import type { Engine } from '../engine/engine.ts';
import { stackClock } from '../engine/stack.ts';
import { StrongroomError } from '../errors.ts';
import type { CallOrigin, Header } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { decodeItem, itemKey } from '../protocol/item.ts';
import { usageLedgerOf } from '../session-contract.ts';
import { engineOf, innermostOf, layersOf } from '../wrap-session.ts';

/** Options of {@link importSession}. */
export type ImportSessionOptions = CallOrigin;

/** The result of {@link importSession}. */
export interface ImportReport {
  /** Items that this call wrote. */
  readonly written: number;
  /** Items that the session had before, at the beginning of the document. */
  readonly already: number;
}

const CHUNK = 500;

/**
 * Writes the items of an export (`exportSession` with `open: true`) into a session, through its layers, each with
 * the time at which it was written first where the export has it: so it expires when the original would have. A time of
 * the future becomes that of the import. After an interruption call it again: what is there already is compared, not
 * written again, as long as no item has expired since. Then it is `ERR_CONFLICT`, and if all have, they are written once
 * more, and stay hidden: delete the session and import again.
 *
 * Not restored: which agent said an item, and operations that were applied before.
 *
 * @param session A wrapped session. It is empty, or holds the beginning of the document.
 * @param document The export, or its JSON after `JSON.parse`.
 * @throws `ERR_INVALID_OPTION` for another document; `ERR_CONFLICT` when the session holds something else, then
 * nothing was written; `ERR_UNSUPPORTED` for a conversation into a usage ledger; the errors of the layers and the store.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring, wrapStore } from 'strongroom';
 * import { exportSession, importSession } from 'strongroom/keys';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sessions = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
 * const document = await exportSession(sessions.session('user-123'), { open: true });
 * await importSession(sessions.session('user-123-copy'), document);
 * ```
 */
export async function importSession(
  session: Session,
  document: unknown,
  options: ImportSessionOptions = {},
): Promise<ImportReport> {
  const { engine, items, times, already } = await compareImport(session, document, options);
  const now = stackClock(layersOf(session))();
  for (let start = already; start < items.length; start += CHUNK) {
    // A clock that was ahead at the export would make the record unreadable.
    const headers = times
      .slice(start, start + CHUNK)
      .map((at): Header => (at === undefined ? {} : { t: Math.min(at, now) }));
    await engine.addItems(items.slice(start, start + CHUNK), undefined, originOf(options), headers);
  }
  return { written: items.length - already, already };
}

/** What an import would do: the items, and how many of them the session has. Writes nothing. @throws as {@link importSession}. */
export async function compareImport(
  session: Session,
  document: unknown,
  options: ImportSessionOptions,
): Promise<ParsedDocument & { readonly engine: Engine; readonly already: number }> {
  const where = 'importSession';
  checkCall(where, options, []);
  const engine = typeof session === 'object' && session !== null ? engineOf(session) : undefined;
  if (engine === undefined) {
    return invalidOption(where, 'session', 'a session that wrapSession() or wrapStore() returned', session);
  }
  const { items, times } = parseDocument(where, document);
  usageLedgerOf(innermostOf(session))?.check(items);
  const present = await engine
    .rare()
    .operate('exportSession', originOf(options), async (io) => io.visibleItems());
  const compared = (list: readonly AgentInputItem[]): string[] =>
    (session.prepareHistoryItemsForPersistenceComparison?.([...list]) ?? list).map(itemKey);
  const expected = compared(items);
  if (present.length > items.length || compared(present).some((key, index) => key !== expected[index])) {
    throw new StrongroomError(
      'ERR_CONFLICT',
      `${where}: session ${JSON.stringify(await session.getSessionId())} holds other items than the document begins with. Import into a session that is empty.`,
      { written: 'no' },
    );
  }
  return { engine, items, times, already: present.length };
}

interface ParsedDocument {
  readonly items: AgentInputItem[];
  readonly times: readonly (number | undefined)[];
}

function parseDocument(where: string, document: unknown): ParsedDocument {
  const rule = 'an export of exportSession() with open: true';
  if (typeof document !== 'object' || document === null) invalidOption(where, 'document', rule, document);
  // The export itself renders its items as its JSON does.
  const rendered = JSON.parse(JSON.stringify(document)) as Readonly<Record<string, unknown>>;
  const { type, version, open, items, details } = rendered;
  if (type !== 'strongroom/export' || version !== 1 || open !== true || !Array.isArray(items)) {
    invalidOption(where, 'document', rule, document);
  }
  const parsed = items.map((item: unknown, index) => {
    try {
      return decodeItem(JSON.stringify(item));
    } catch {
      return invalidOption(where, `items[${index}]`, 'an item', item);
    }
  });
  return { items: parsed, times: parsed.map((_, index) => timeOf(details, index)) };
}

function timeOf(details: unknown, index: number): number | undefined {
  const at: unknown = Array.isArray(details) ? (details[index] as { at?: unknown } | null)?.at : undefined;
  return Number.isSafeInteger(at) ? (at as number) : undefined;
}
