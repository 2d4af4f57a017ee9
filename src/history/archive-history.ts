import type { AgentInputItem, Session } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { ancestorsOf, holdsConversation, parseDerivedId, rootOf } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import { checkOptions, invalidOption, parseCount } from '../options.ts';
import { deriveOf, openBeside } from '../session-contract.ts';
import {
  countPending,
  hasTransactions,
  expiringLayer,
  replaceOldest,
  safeStarts,
  shareStore,
  startsWith,
} from './replace-oldest.ts';
import { isSystemMessage } from './structure.ts';
import { cutWith, parseTrimOptions, type TrimHistoryOptions } from './trim-history.ts';

/** Options of {@link archiveHistory}. */
export interface ArchiveHistoryOptions {
  /**
   * Which items are moved: those before this index, or before the cut that `trimHistory()` makes with these
   * options. With the options of the runs, the model's input stays the same byte for byte, because no run would
   * have sent the moved items.
   */
  readonly before: number | TrimHistoryOptions;
  /**
   * The session that receives them at its end. Default: the one that {@link archiveOf} opens. Any other must be of another store, or of
   * no store of ours: deletions, holds and erasures of the conversation do not reach it.
   */
  readonly to?: Session;
  /** For repeating a failed call: the error message contains it. */
  readonly operationId?: string;
  /** Longest history that is rewritten in a session without `replacePrefix`; default 5,000. */
  readonly maxRewriteItems?: number;
  /**
   * Move no call that has no result yet, and nothing behind it: a run that waits for an approval adds the result
   * later, and providers refuse a result without its call. A call of a process that died looks the same:
   * `repairHistory()` removes it. `false` moves both.
   *
   * @defaultValue true
   */
  readonly keepPending?: boolean;
}

/** The result of {@link archiveHistory}. */
export interface ArchiveReport {
  /** `'changed'`: another process replaced the oldest items in between; nothing was moved. */
  readonly outcome: 'archived' | 'nothing-to-do' | 'changed';
  /** How many items were appended to the archive. */
  readonly archived: number;
  /** How many items the session has left, of those that were read. */
  readonly left: number;
  /** How many calls without a result kept items from being moved; 0 with `keepPending: false`. */
  readonly pending: number;
  readonly operationId: string;
}

/**
 * Moves the oldest part of a session into its archive, so that reading a very long conversation stays cheap. Call it
 * between runs. The cut is moved back to the start of a turn that no call reaches across, one that has no result yet
 * (`keepPending`) among them; system messages and pinned items (`before.pin`) are copied to the archive and stay in the
 * session too.
 *
 * Between two sessions of one store of ours, with the same kind of stack, this is one database transaction: the
 * items are compared, removed, opened, sealed for the archive with their times, and appended there; appends to the
 * session do not conflict with it, and no expiry is extended. Elsewhere the items are appended to the archive first
 * and then removed in one `replace_suffix`; if the second step fails, they are in both sessions, and the call can
 * be repeated with the `operationId` in the error. This is refused under `expire()`, because a copy would get new
 * stamps.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` when the session has no transactions, more than
 * `maxRewriteItems` items and no `replacePrefix`, or `expire()` and another store; the errors of the sessions.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { archiveHistory, type ArchiveReport } from 'strongroom/history';
 *
 * export const archive = (live: Session): Promise<ArchiveReport> =>
 *   archiveHistory(live, { before: { maxTokens: 8_000 } });
 * ```
 */
export async function archiveHistory(
  session: Session,
  options: ArchiveHistoryOptions,
): Promise<ArchiveReport> {
  const where = 'archiveHistory()';
  checkOptions(where, options, ['before', 'to', 'operationId', 'maxRewriteItems', 'keepPending']);
  const { before, operationId = `strongroom-archive-${randomName()}`, keepPending = true } = options;
  const maxRewriteItems = parseCount(where, 'maxRewriteItems', options.maxRewriteItems ?? 5_000);
  const settings = typeof before === 'number' ? undefined : parseTrimOptions(`${where} before`, before);
  if (typeof before === 'number' && !(Number.isSafeInteger(before) && before >= 0)) {
    invalidOption(where, 'before', 'an index or the options of trimHistory()', before);
  }
  if (typeof operationId !== 'string' || operationId === '') {
    invalidOption(where, 'operationId', 'a non-empty string', operationId);
  }
  if (typeof keepPending !== 'boolean') invalidOption(where, 'keepPending', 'true or false', keepPending);
  const to = await placeOf(where, session, options.to);

  const items = await session.getItems();
  const cut = settings === undefined ? undefined : cutWith(settings, items, []);
  const wanted = cut?.index ?? (before as number);
  const startUntil = (keeps: boolean): number =>
    safeStarts(items, keeps).findLast((start) => start <= wanted) ?? 0;
  const count = startUntil(keepPending);
  const pending = keepPending ? countPending(items, startUntil(false)) : 0;
  const oldest = items.slice(0, count);
  const stays = oldest.filter(
    (item, index) => cut?.keeps(index) ?? (isSystemMessage(item) || item.type === 'compaction'),
  );
  const nothing: ArchiveReport = {
    outcome: 'nothing-to-do',
    archived: 0,
    left: items.length,
    pending,
    operationId,
  };
  // Only items that also stay: they would be archived again and again.
  if (count === stays.length) return nothing;

  const move = { where, items, count, replacement: stays, operationId, maxRewriteItems };
  const together = shareStore(session, to);
  if (!together) {
    refuseLongerLife(where, session);
    if (!hasTransactions(session)) {
      throw new StrongroomError(
        'ERR_UNSUPPORTED',
        `${where}: this session has no transactions, so history cannot be moved without the risk of losing it. Use one of our stores, or MemorySession.`,
      );
    }
    if (items.length > maxRewriteItems && !('replacePrefix' in session)) {
      throw new StrongroomError(
        'ERR_UNSUPPORTED',
        `${where}: the history has ${items.length} items, more than maxRewriteItems (${maxRewriteItems}), and this session can only rewrite it as a whole. Use one of our stores, or raise maxRewriteItems.`,
      );
    }
    await appendOnce(to, oldest, operationId, options.operationId !== undefined);
  }
  const done = await finish(where, operationId, together, () =>
    replaceOldest(session, together ? { ...move, archiveTo: to } : move),
  );
  if (!done) return { ...nothing, outcome: 'changed' };
  return {
    outcome: 'archived',
    archived: count,
    left: items.length - count + stays.length,
    pending,
    operationId,
  };
}

/**
 * The archive of a session of our stores: a session that belongs to it, in its store and its layers, which is deleted, held, exported and
 * erased with it.
 *
 * @throws StrongroomError `ERR_UNSUPPORTED` for a session of no store of ours.
 */
export async function archiveOf(session: Session): Promise<Session> {
  const archive = await openBeside(session, { kind: 'archive' });
  if (archive !== undefined) return archive;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    'archiveHistory(): this session is of no store of strongroom, so it has no archive beside it. Pass `to`, a session that you delete yourself with the conversation.',
  );
}

/** An archive in the store of the conversation must be one that is found by the conversation. */
async function placeOf(where: string, session: Session, to: Session | undefined): Promise<Session> {
  if (to === undefined) return archiveOf(session);
  if (typeof to !== 'object' || to === null || typeof to.addItems !== 'function' || to === session) {
    invalidOption(where, 'to', 'another session', to);
  }
  // Asking a session of a service for its id can create it there.
  if (deriveOf(to) !== undefined) refuseOther(where, await to.getSessionId());
  if (!shareStore(session, to)) return to;
  const [from, id] = [await session.getSessionId(), await to.getSessionId()];
  if (ancestorsOf(id).includes(rootOf(from))) return to;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: the session ${JSON.stringify(id)} is in the store of ${JSON.stringify(from)} and does not belong to it, so no deletion, hold or erasure of the conversation would reach the archive. Leave \`to\` out, or pass a session whose id derivedId() made for this one.`,
  );
}

/** What belongs to a conversation and holds no items of it, such as its usage ledger, takes none. */
function refuseOther(where: string, id: string): void {
  const kind = parseDerivedId(id)?.kind;
  if (holdsConversation(id) && kind !== 'usage') return;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: the session ${JSON.stringify(id)} (${kind}) holds no items of a conversation, so items cannot be archived in it. Leave \`to\` out.`,
  );
}

/** A copy through `addItems` gets new times. */
function refuseLongerLife(where: string, session: Session): void {
  const layer = expiringLayer(session);
  if (layer === undefined) return;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${where}: the session has ${layer}(), and the archive is not in the same strongroom store, so the copies would be kept longer than the originals. Archive into a session of the same store, wrapped by wrapSession.`,
  );
}

/** Appends to the archive; a repetition of the same operation does not append twice. */
async function appendOnce(
  to: Session,
  items: readonly AgentInputItem[],
  operationId: string,
  repeated: boolean,
): Promise<void> {
  if (hasTransactions(to)) {
    await to.applyHistoryTransaction({
      operationId,
      transaction: { type: 'append_items', items: [...items] },
    });
    return;
  }
  if (repeated && startsWith(await to.getItems(items.length), items)) return;
  await to.addItems([...items]);
}

async function finish(
  where: string,
  operationId: string,
  together: boolean,
  work: () => Promise<boolean>,
): Promise<boolean> {
  if (together) return work();
  let done: boolean;
  try {
    done = await work();
  } catch (cause) {
    throw new StrongroomError(
      'ERR_STORE',
      `${where}: the items are in the archive, but were not removed from the session. Repeat the call with operationId ${JSON.stringify(operationId)}.`,
      { cause },
    );
  }
  if (done) return true;
  throw new StrongroomError(
    'ERR_CONFLICT',
    `${where}: another writer replaced the oldest items while they were copied to the archive (operation ${JSON.stringify(operationId)}). The copies are in the archive; the session was not changed. Read both before you archive again.`,
  );
}
