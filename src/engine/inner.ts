import type { AgentInputItem, RunContext, Session, SessionHistoryTransactionArgs } from '@openai/agents';
import type { ReadReference } from '../clock.ts';
import { StrongroomError } from '../errors.ts';
import { storeRow } from '../keys/data-keys/key-row.ts';
import type { DekStore } from '../keys/dek-store.ts';
import type { MaybePromise, VersionSource } from '../layer.ts';
import { isWellFormed } from '../crypto/encoding.ts';
import { after } from '../maybe-promise.ts';
import { invalidOption, isObject } from '../options.ts';
import { itemKey } from '../protocol/item.ts';
import { plainRecord, rowOf, SealedRecord } from '../protocol/sealed-record.ts';
import {
  DEK_STORE,
  REFERENCE,
  ADMIT,
  type Admit,
  type Ledger,
  VERSION,
  OPERATIONS,
  type PastRecord,
  RECORDS,
  type RecordSource,
} from '../session-contract.ts';
import { checkedRecords, notAnObject } from './inner-records.ts';

/** The SDK brands its sessions under a symbol that it does not export; only its description identifies it. */
const BRAND_DESCRIPTION = 'OPENAI_SESSION_API';
/** Items that the Conversations API takes in one create call. */
const CONVERSATIONS_BATCH = 20;

type Context = RunContext<unknown> | undefined;

/** The inner session as the engine calls it: it gets the run context only if it opted in. */
export interface Inner {
  readonly session: Session;
  readonly acceptsRunContext: boolean;
  readonly dekStore: DekStore | undefined;
  readonly hasTransactions: boolean;
  /** The clock of its database. */
  readonly reference: ReadReference | undefined;
  readonly version: VersionSource | undefined;
  /**
   * As {@link Inner.getItems} without a run context, but carriers have no text; present when `addItems` accepts
   * such records as well.
   */
  readonly getRecords: ((limit: number | undefined) => Promise<AgentInputItem[]>) | undefined;
  /** The `count` records that stand before the last `skip`, all of them when absent; carriers may be without text. */
  past(count: number | undefined, skip: number, runContext: Context): Promise<readonly PastRecord[]>;
  /** The session's id, where it is known to stay the same. */
  readonly id: string | undefined;
  /** Only over a usage ledger. */
  readonly ledger: Ledger | undefined;
  /** Registers a call with the store. */
  readonly admit: Admit | undefined;
  getSessionId(): Promise<string>;
  getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]>;
  /** Waits for nothing but the session, and throws at once what it throws. */
  addItems(items: AgentInputItem[], runContext: Context): MaybePromise<void>;
  popItem(runContext: Context): Promise<AgentInputItem | undefined>;
  clearSession(runContext: Context): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void>;
  transact(args: SessionHistoryTransactionArgs, runContext: Context): Promise<void>;
  /** Whether the operation is known to have been applied; `undefined` when the session cannot tell. */
  applied(operationId: string): Promise<boolean | undefined>;
}

/** One record of a service that gives ids. */
function recordIdentity(record: AgentInputItem): string {
  return record.id ?? itemKey(record);
}

type Append = 'addItems' | 'replaceHistoryWithCompaction';
type Method = (...args: unknown[]) => unknown;
type Members = Record<string, Method | undefined> & Record<symbol, unknown>;

const REQUIRED = ['getSessionId', 'getItems', 'addItems', 'popItem', 'clearSession'] as const;

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` when `session` lacks one of the five required methods. */
export function innerSession(session: Session): Inner {
  if (typeof session !== 'object' || session === null) {
    return invalidOption('wrapSession', 'session', 'a Session of @openai/agents', session);
  }
  // By name: optional members of the SDK and our symbols are not part of the type `Session`.
  const members = session as unknown as Members;
  const missing = REQUIRED.filter((name) => typeof members[name] !== 'function');
  if (missing.length > 0) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `wrapSession: session must be a Session of @openai/agents; it has no ${missing.join(', ')}.`,
    );
  }
  const acceptsRunContext = (session as { acceptsRunContext?: unknown }).acceptsRunContext === true;
  const batch = brandOf(session)?.value === 'conversations' ? CONVERSATIONS_BATCH : Number.POSITIVE_INFINITY;
  const dekStore = members[DEK_STORE] as (DekStore & { readonly [REFERENCE]?: ReadReference }) | undefined;
  const reference = dekStore?.[REFERENCE];
  const version = members[VERSION] as VersionSource | undefined;
  const admit = members[ADMIT] as Admit | undefined;
  const records = recordsOf(session);

  /** Sessions that did not opt in get calls without the context argument. */
  const send = (name: string, args: readonly unknown[], runContext: Context): unknown => {
    const withContext = acceptsRunContext && runContext ? [...args, runContext] : args;
    return (members[name] as Method).apply(session, withContext as unknown[]);
  };
  const call = async (name: string, args: readonly unknown[], runContext: Context): Promise<unknown> =>
    await send(name, args, runContext);

  /** One call where the backend allows it; in batches over Conversations, taken back when a later one fails. */
  function append(method: Append, items: AgentInputItem[], runContext: Context): MaybePromise<void> {
    records?.ledger?.passOn(items);
    if (items.length > batch) return inBatches(method, items, runContext);
    return send(method, [items], runContext) as MaybePromise<void>;
  }

  async function inBatches(method: Append, items: AgentInputItem[], runContext: Context): Promise<void> {
    // The service adds ids, so its previous last record separates new records from equal ones.
    const [before] = (await inner.getItems(1, runContext)).map(recordIdentity);
    for (let start = 0; start < items.length; start += batch) {
      try {
        await call(start === 0 ? method : 'addItems', [items.slice(start, start + batch)], runContext);
      } catch (error) {
        const sent = items.slice(0, start + batch);
        if ((await takeBack(before, sent, runContext, error)) === 'unchanged') throw error;
      }
    }
  }

  /** After a failed batch: `complete` when it was stored after all, else pops the records that this call had added. */
  async function takeBack(
    before: string | undefined,
    sent: readonly AgentInputItem[],
    runContext: Context,
    cause: unknown,
  ): Promise<'complete' | 'unchanged'> {
    try {
      const records = await inner.getItems(sent.length + 1, runContext);
      const added = records.slice(records.findLastIndex((record) => recordIdentity(record) === before) + 1);
      const ours = keysOf(sent);
      const stored = keysOf(added);
      if (stored.some((key, index) => key !== ours[index]))
        throw new Error('Another writer changed the history.');
      if (stored.length === ours.length) return 'complete';
      for (const record of added.toReversed()) {
        const popped = await inner.popItem(runContext);
        if (popped === undefined || recordIdentity(popped) === recordIdentity(record)) continue;
        await inner.addItems([popped], runContext);
        throw new Error('Another writer appended.');
      }
      return 'unchanged';
    } catch {
      throw new StrongroomError(
        'ERR_STORE',
        `An append in batches of ${batch} failed after some batches were stored, and those could not be removed again. Read the history before you repeat the append.`,
        { cause, written: 'unknown' },
      );
    }
  }

  /** The fields that the service keeps of items, for comparing read and written ones. */
  function keysOf(items: readonly AgentInputItem[]): string[] {
    const copies = structuredClone([...items]);
    return (session.prepareHistoryItemsForPersistenceComparison?.(copies) ?? copies).map(itemKey);
  }

  const inner: Inner = {
    session,
    acceptsRunContext,
    dekStore,
    reference,
    version,
    admit,
    get id() {
      return records?.id();
    },
    ledger: records?.ledger,
    getRecords: records === undefined ? undefined : (limit) => records.read(limit, inner),
    hasTransactions: typeof members['applyHistoryTransaction'] === 'function',
    past: async (count, skip, runContext) =>
      records?.past(count, skip) ?? pastOf(inner, count, skip, runContext),
    getSessionId: async () => checkedId(await session.getSessionId()),
    async getItems(limit, runContext) {
      const withContext = acceptsRunContext && runContext !== undefined;
      const args = limit === undefined && !withContext ? [] : [limit];
      return checkedRecords(await call('getItems', args, runContext));
    },
    addItems: (items, runContext) =>
      after(records?.toAppend(items) ?? items, (list) => append('addItems', list, runContext)),
    async popItem(runContext) {
      const popped = await call('popItem', [], runContext);
      if (popped === undefined || isObject(popped)) return popped as AgentInputItem | undefined;
      // It was removed, and is put back: null holds nothing, and can say that nothing was left.
      if (popped !== null) await call('addItems', [[popped]], runContext);
      throw notAnObject('popItem() of the inner session returned', popped);
    },
    clearSession: async (runContext) => void (await call('clearSession', [], runContext)),
    replaceHistoryWithCompaction: async (items, runContext) =>
      append('replaceHistoryWithCompaction', items, runContext),
    async transact(args, runContext) {
      records?.ledger?.passOn(args);
      await call('applyHistoryTransaction', [args], runContext);
    },
    async applied(operationId) {
      const operations = members[OPERATIONS] as { has(id: string): Promise<boolean> } | undefined;
      return operations === undefined ? undefined : await operations.has(operationId);
    },
  };
  return inner;
}

function checkedId(id: unknown): string {
  if (typeof id !== 'string' || id === '') {
    return invalidOption('wrapSession', "the session's id", 'a non-empty string', id);
  }
  if (!isWellFormed(id)) {
    return invalidOption('wrapSession', "the session's id", 'well-formed Unicode', id);
  }
  return id;
}

/** For a session that can only read its last items. */
async function pastOf(
  inner: Pick<Inner, 'getItems'>,
  count: number | undefined,
  skip: number,
  runContext: Context,
): Promise<PastRecord[]> {
  const items = await inner.getItems(count === undefined ? undefined : count + skip, runContext);
  return items.slice(0, Math.max(items.length - skip, 0)).map((record) => ({ record }));
}

/** The functions that a session of our stores offers instead of some of its members. */
interface Records {
  id(): string | undefined;
  readonly ledger: Ledger | undefined;
  read(limit: number | undefined, inner: Pick<Inner, 'getItems'>): Promise<AgentInputItem[]>;
  toAppend(items: AgentInputItem[]): MaybePromise<AgentInputItem[]>;
  past(count: number | undefined, skip: number): Promise<readonly PastRecord[]> | undefined;
}

/**
 * Only for the session that offers it: an object that inherits from it, or copies its members, may change their
 * behaviour.
 */
function recordsOf(session: Session): Records | undefined {
  const { [RECORDS]: offered, [DEK_STORE]: dekStore } = session as {
    [RECORDS]?: RecordSource;
    [DEK_STORE]?: DekStore;
  };
  if (offered === undefined || offered.of() !== session || offered.made !== SealedRecord) return undefined;
  // At each call: a member can be replaced at any time.
  const isAsMade = (name: keyof RecordSource['members']): boolean => session[name] === offered.members[name];
  return {
    id: () => (isAsMade('getSessionId') ? offered.id : undefined),
    ledger: offered.ledger,
    read: (limit, inner) => (isAsMade('getItems') ? offered.read(limit) : inner.getItems(limit, undefined)),
    past: (count, skip) => (isAsMade('getItems') ? offered.past(count, skip) : undefined),
    toAppend(items) {
      if (isAsMade('addItems')) return items;
      const row = rowOf(items);
      const plain = items.map(plainRecord);
      // The session that gets them does not store what is not in their text.
      return row === undefined || dekStore === undefined ? plain : storeRow(dekStore, row).then(() => plain);
    },
  };
}

/** The SDK's brand of a session, own or inherited. */
export function brandOf(session: object): { readonly symbol: symbol; readonly value: unknown } | undefined {
  for (let at: object | null = session; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    for (const symbol of Object.getOwnPropertySymbols(at)) {
      if (symbol.description === BRAND_DESCRIPTION) {
        return { symbol, value: (session as Record<symbol, unknown>)[symbol] };
      }
    }
  }
  return undefined;
}
