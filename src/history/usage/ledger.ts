import type { AgentInputItem, Session } from '@openai/agents';
import { derivedId, parseDerivedId, rootOf } from '../../derived-id.ts';
import { isStrongroomError, StrongroomError } from '../../errors.ts';
import { invalidOption } from '../../options.ts';
import { deriveOf, historyOf, PAGES, VERSION, type Pages } from '../../session-contract.ts';
import type { CallOrigin, VersionSource } from '../../layer.ts';
import { refuseOrigin } from '../../protocol/call-origin.ts';
import { USAGE_RECORD } from '../../protocol/ledger.ts';
import { pageOf } from '../page.ts';
import { hasTransactions } from '../replace-oldest.ts';
import type { RunMark } from './run-mark.ts';
import type { UsageCell } from './tokens.ts';

/** A store of ours, wrapped or not, for the ledgers of conversations that are elsewhere. */
export interface UsageStore {
  session(id: string, options: { readonly derived: true }): Session;
}

/** One run in a ledger, with the sums of all up to it, so that a sum is one read. */
export interface UsageRecord {
  readonly cells: readonly UsageCell[];
  /** The key of the record of the user message that began the turn, and when that was written. */
  readonly turn: string | undefined;
  readonly branch: string;
  /** The id of the last response that was counted. */
  readonly response: string | undefined;
  /** Of which run it is; absent in records of earlier versions and of usage that was adopted. */
  readonly run?: RunMark | undefined;
  readonly runs: number;
  readonly sums: readonly UsageCell[];
}

/** The ledger of a conversation, beside it. */
export interface Ledger {
  readonly id: string;
  /** The branch of the session that it was opened for; `''` for the conversation itself. */
  readonly branch: string;
  last(): Promise<UsageRecord | undefined>;
  all(): Promise<readonly UsageRecord[]>;
  /**
   * Appends the result of `next` for the last record; nothing when it is `undefined`.
   *
   * @param lookBack How many of the last records `next` gets; default 1.
   */
  append(
    next: (last: UsageRecord | undefined, recent: readonly UsageRecord[]) => UsageRecord | undefined,
    lookBack?: number,
  ): Promise<void>;
}

/**
 * Written before the first record: all missing histories have the same version, and this item gives the ledger its
 * own. It may be written at any time, because it is not counted.
 */
const OPENING: AgentInputItem = { type: 'unknown', providerData: { type: USAGE_RECORD, opens: true } };
/** Each is two reads and a transaction; an append in between needs another attempt. */
const ATTEMPTS = 100;

/** The id of the ledger of a session's conversation. */
export function ledgerIdOf(sessionId: string): string {
  return derivedId({ kind: 'usage', of: rootOf(sessionId) });
}

/**
 * @param store The store of the ledger, when the session is not from a store of ours.
 * @param origin Who reads it, for its layers.
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when the session cannot have a derived session;
 * `ERR_INVALID_OPTION` for a session that is a ledger itself.
 */
export async function openLedger(
  where: string,
  session: Session,
  store: UsageStore | undefined,
  origin: CallOrigin = {},
): Promise<Ledger> {
  if (typeof session?.getSessionId !== 'function') invalidOption(where, 'session', 'a session', session);
  if (store !== undefined && typeof store.session !== 'function')
    invalidOption(where, 'store', 'a store of strongroom', store);
  const history = await historyOf(session);
  const own = await history.getSessionId();
  const { kind, name = '' } = parseDerivedId(own) ?? {};
  if (kind === 'usage') {
    return invalidOption(
      where,
      'session',
      'the conversation; its ledger is opened by this function',
      session,
    );
  }
  const id = ledgerIdOf(own);
  const derive = deriveOf(history);
  const ledger = store === undefined ? derive?.open(id) : store.session(id, { derived: true });
  const source = ledger === undefined ? undefined : versionOf(ledger);
  if (ledger === undefined || source === undefined || !hasTransactions(ledger)) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${where}: usage is kept beside the conversation in its store, and this session is of no store of strongroom. Pass a store for it: { store: openSqlite(…) }, wrapped as you wish.`,
    );
  }
  const hasOrigin = Object.keys(origin).length > 0;
  if ((ledger as { readonly [PAGES]?: Pages })[PAGES] === undefined) refuseOrigin(where, origin);
  const read = async (limit?: number): Promise<AgentInputItem[]> =>
    // Through the cache, which pages do not use.
    hasOrigin
      ? (await pageOf(where, ledger, { limit, ...origin })).items.map(({ item }) => item)
      : ledger.getItems(limit);
  /** At least the last record, in order; `'none'` for a ledger without visible items. */
  const newest = async (lookBack: number): Promise<readonly UsageRecord[] | 'none'> => {
    for (let limit = lookBack; ; limit *= 2) {
      const items = await read(limit);
      const found = items.flatMap((item) => parseRecord(item) ?? []);
      if (found.length > 0 || items.length < limit) return items.length === 0 ? 'none' : found;
    }
  };
  return {
    id,
    branch: kind === 'branch' ? name : '',
    async last() {
      const found = await newest(1);
      return found === 'none' ? undefined : found.at(-1);
    },
    all: async () => (await read()).flatMap((item) => parseRecord(item) ?? []),
    async append(next, lookBack = 1) {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const version = await source.read();
        const found = await newest(lookBack);
        const recent = found === 'none' ? [] : found;
        const record = next(recent.at(-1), recent);
        if (record === undefined) return;
        if (found === 'none') {
          await ledger.addItems([OPENING]);
          continue;
        }
        // The record is of another state, so its sums would be wrong.
        if ((await source.read()) !== version) continue;
        try {
          // Each state of a history has one version, and each operation is applied once: of all appends that read
          // this state, one succeeds.
          await ledger.applyHistoryTransaction({
            operationId: `${USAGE_RECORD} after ${version}`,
            transaction: { type: 'append_items', items: [itemOf(record)] },
          });
          return;
        } catch (error) {
          if (!isStrongroomError(error) || error.code !== 'ERR_CONFLICT') throw error;
        }
      }
      throw new StrongroomError(
        'ERR_CONFLICT',
        `${where}: other processes wrote to the usage ledger of this conversation ${ATTEMPTS} times in a row. Nothing was recorded; try again.`,
        { written: 'no' },
      );
    },
  };
}

function versionOf(session: Session): Pick<VersionSource, 'read'> | undefined {
  const { [PAGES]: pages, [VERSION]: own } = session as {
    readonly [PAGES]?: Pages;
    readonly [VERSION]?: VersionSource;
  };
  return pages === undefined ? own : pages.version;
}

function itemOf(record: UsageRecord): AgentInputItem {
  return { type: 'unknown', providerData: { type: USAGE_RECORD, ...record } };
}

/** `undefined` for the opening item of a ledger. */
function parseRecord(item: AgentInputItem): UsageRecord | undefined {
  const data = item.type === 'unknown' ? item.providerData : undefined;
  if (data?.['type'] === USAGE_RECORD && data['opens'] === true) return undefined;
  if (data?.['type'] !== USAGE_RECORD || !Array.isArray(data['cells']) || !Array.isArray(data['sums'])) {
    throw new StrongroomError(
      'ERR_MALFORMED',
      'The usage ledger of this conversation contains an item that is no record of usage. Write to ledgers with recordUsage() only; delete the ledger to begin anew.',
    );
  }
  // Written by itemOf(); its id is reserved for that.
  return data as unknown as UsageRecord;
}
