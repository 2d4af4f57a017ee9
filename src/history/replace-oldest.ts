import type { AgentInputItem, Session, SessionHistoryTransactionAwareSession } from '@openai/agents';
import type { ReplacePrefixArgs } from '../engine/prefix.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { digestInSlices } from '../protocol/digest.ts';
import { itemKey } from '../protocol/item.ts';
import { createLinkMatcher } from '../protocol/links.ts';
import { isConflict } from '../protocol/transaction.ts';
import { DEK_STORE, describedLayers, LAYERS, OPERATIONS, STORE_OF } from '../session-contract.ts';
import { createStructure, isUserMessage } from './structure.ts';

/** A session of our stores, bare (the archive by its id) or wrapped (the archive as a session). */
interface PrefixSession extends Session {
  replacePrefix(
    args: Omit<ReplacePrefixArgs, 'archiveTo'> & { readonly archiveTo?: Session | string },
  ): Promise<void>;
}

type Symbols = Readonly<Record<symbol, unknown>>;

export interface ReplaceOldest {
  /** For messages, such as `summarizeHistory()`. */
  readonly where: string;
  /** The history as it was read; items that are appended meanwhile stay. */
  readonly items: readonly AgentInputItem[];
  /** How many of the oldest items are replaced. */
  readonly count: number;
  readonly replacement: readonly AgentInputItem[];
  readonly operationId: string;
  /** A session of the same store that receives the replaced items, in the same transaction. */
  readonly archiveTo?: Session;
  /** Longest history that is rewritten as a whole. */
  readonly maxRewriteItems: number;
}

/** How often a whole rewrite is repeated because of an append in between. */
const ATTEMPTS = 4;

/**
 * Replaces the oldest items, or nothing: on our stores by comparing and replacing the prefix in one database
 * transaction, elsewhere by rewriting the history in one `replace_suffix`.
 *
 * @returns `false` when the oldest items are no longer those that were read; nothing was changed then.
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when the session cannot do it atomically.
 */
export async function replaceOldest(session: Session, plan: ReplaceOldest): Promise<boolean> {
  const { where, items, count, replacement, operationId, archiveTo, maxRewriteItems } = plan;
  if (replacesPrefixes(session)) {
    try {
      await session.replacePrefix({
        count,
        digest: await digestInSlices(items.slice(0, count)),
        replacement,
        operationId,
        ...(archiveTo === undefined
          ? {}
          : { archiveTo: LAYERS in session ? archiveTo : await archiveTo.getSessionId() }),
      });
      return true;
    } catch (error) {
      if (isStrongroomError(error) && error.code === 'ERR_CONFLICT') return false;
      throw error;
    }
  }
  if (!hasTransactions(session)) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${where}: this session has no transactions, so history cannot be replaced without the risk of losing it. Use a session that has applyHistoryTransaction: one of our stores, or MemorySession.`,
    );
  }
  for (let attempt = 1; ; attempt++) {
    const current = await session.getItems();
    if (!startsWith(current, items.slice(0, count))) return false;
    if (current.length > maxRewriteItems) {
      throw new StrongroomError(
        'ERR_UNSUPPORTED',
        `${where}: this session can only rewrite its history as a whole, and that has ${current.length} items, more than maxRewriteItems (${maxRewriteItems}). Use one of our stores, or raise maxRewriteItems.`,
      );
    }
    const after = [...replacement, ...current.slice(count)];
    try {
      await session.applyHistoryTransaction({
        operationId: `${operationId}:${attempt}`,
        transaction: { type: 'replace_suffix', expectedSuffix: current, replacement: after },
      });
      return true;
    } catch (error) {
      if (isConflict(error) && attempt < ATTEMPTS) continue;
      // The transaction may have been applied although its answer was lost.
      if (startsWith(await session.getItems(), after)) return true;
      throw error;
    }
  }
}

export function hasTransactions(session: Session): session is SessionHistoryTransactionAwareSession {
  return (
    typeof (session as Partial<SessionHistoryTransactionAwareSession>).applyHistoryTransaction === 'function'
  );
}

function replacesPrefixes(session: Session): session is PrefixSession {
  return (
    (LAYERS in session || OPERATIONS in session) &&
    typeof (session as Partial<PrefixSession>).replacePrefix === 'function'
  );
}

/** Whether both are sessions of one store of ours, bare or wrapped: only those archive in one transaction. */
export function shareStore(session: Session, other: Session): boolean {
  const store = storeOf(session);
  return (
    store !== undefined && storeOf(other) === store && replacesPrefixes(session) && replacesPrefixes(other)
  );
}

/** By symbol: the ports of our sessions are not part of the type `Session`. */
function storeOf(session: Session): unknown {
  return (session as unknown as Symbols)[STORE_OF] ?? (session as unknown as Symbols)[DEK_STORE];
}

/** The name of the layer by which items of the session expire, which copies of them would not. */
export function expiringLayer(session: Session): string | undefined {
  return describedLayers(session).find(({ kinds }) => kinds.includes('expires'))?.name;
}

/** Whether `items` begin with `prefix`, by the runner's own equality. */
export function startsWith(items: readonly AgentInputItem[], prefix: readonly AgentInputItem[]): boolean {
  return (
    items.length >= prefix.length && prefix.every((item, index) => itemKey(item) === itemKey(items[index]))
  );
}

/**
 * The indexes before which a history can be removed: at the start of a turn, with no earlier call that is answered
 * later. A pending call may be answered later: with `keepPending` there is none behind it.
 */
export function safeStarts(items: readonly AgentInputItem[], keepPending: boolean): number[] {
  const structure = createStructure();
  for (const item of items) structure.add(item);
  const end = keepPending ? (pendingCalls(items)[0] ?? items.length) : items.length;
  const starts: number[] = [];
  let needed = -1;
  for (const [index, item] of items.entries()) {
    if (index > end) break;
    if (needed < index && isUserMessage(item)) starts.push(index);
    needed = Math.max(needed, structure.neededUntil(index));
  }
  return starts;
}

/** The indexes of the calls without a result, oldest first. */
function pendingCalls(items: readonly AgentInputItem[]): number[] {
  const matcher = createLinkMatcher();
  for (const [index, item] of items.entries()) matcher.add(item, index);
  return [...matcher.open()].toSorted((left, right) => left - right);
}

/** How many of these calls a cut would remove that does not keep them. */
export function countPending(items: readonly AgentInputItem[], cut: number): number {
  return pendingCalls(items).filter((index) => index < cut).length;
}
