import type {
  AgentInputItem,
  Session,
  SessionHistoryRewriteArgs,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import { isOwn, itemKey, listed, snapshotList } from '../protocol/item.ts';
import type { DekStore } from '../keys/dek-store.ts';
import type { AppendStep, VersionSource } from '../layer.ts';
import { checkText, MAX_BYTES } from '../limits.ts';
import { loadSdk } from '../load-sdk.ts';
import { invalidOption } from '../options.ts';
import { mapInSlices } from '../slices.ts';
import { digestOf, digestInSlices, operationKey } from '../protocol/digest.ts';
import type { Change, Look, StoreDriver, StoredRecord } from './driver.ts';
import { newMark } from './marks.ts';
import { isSubjectError } from './failure.ts';
import { createDecoder, decodeRecord, encodeRecord, inheritBirth } from './record.ts';
import { createQueue } from '../queue.ts';
import { SealedRecord } from '../protocol/sealed-record.ts';
import { snapshotMutations } from '../protocol/mutation.ts';
import { readLimit, readPrefixArguments } from '../protocol/arguments.ts';
import {
  assertProtocolItems,
  assertSameOperation,
  conflictError,
  itemKeys,
  SENTENCES,
  snapshotTransaction,
  transactionDigest,
} from '../protocol/transaction.ts';
import { unusedPositions } from './unused-positions.ts';
import {
  DEK_STORE,
  type ADMIT,
  type Admit,
  LEASES,
  type Fence,
  type SessionLeases,
  VERSION,
  OPERATIONS,
  RECORDS,
  type RecordSource,
} from '../session-contract.ts';

/** Arguments of {@link StoreSession.replacePrefix}. */
export interface ReplacePrefixArgs {
  /** How many of the oldest items are replaced; at least 1. */
  readonly count: number;
  /** What they are: {@link historyDigest} of them as `getItems()` gives them. */
  readonly digest: string;
  /** What takes their place. */
  readonly replacement: readonly AgentInputItem[];
  /** Stable under retries. */
  readonly operationId: string;
  /**
   * Id of another session of the same store, at whose end the replaced items are appended in the same transaction;
   * or that session with other items to append there (a stack that seals gives them sealed for that session).
   */
  readonly archiveTo?: string | { readonly sessionId: string; readonly items: readonly AgentInputItem[] };
}

/** A session of a store: the SDK's `Session` with the optional members that a database can do well. */
export interface StoreSession extends Session {
  replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void>;
  /** Atomic and idempotent by `operationId`; the log keeps the last operations of a session. */
  applyHistoryTransaction(args: SessionHistoryTransactionArgs): Promise<void>;
  applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void>;
  /**
   * Compares and replaces the oldest items in one transaction. Appends do not conflict with it.
   *
   * @throws `ERR_CONFLICT` when the oldest items are others, or the operation id was used
   * for something else.
   */
  replacePrefix(args: ReplacePrefixArgs): Promise<void>;
  readonly [OPERATIONS]: { has(operationId: string): Promise<boolean> };
  readonly [DEK_STORE]: DekStore;
  readonly [LEASES]: SessionLeases;
  readonly [ADMIT]?: Admit;
  readonly [RECORDS]: RecordSource;
  readonly [VERSION]: VersionSource;
}

/** Whose session it is, as far as this process knows. */
export interface Owner {
  subject?: string;
  /** It is somebody else's. */
  readonly refused?: () => void;
}

/** More than any history has, and a count that every database takes. */
const MOST_ROWS = 0x7fff_ffff;

type ChangeHistory = (look: Look, decide: Parameters<StoreDriver['change']>[2]) => Promise<void>;

/**
 * The one implementation of the SDK's rules over what a database does natively.
 *
 * @param now Unix milliseconds, for items that state no time themselves.
 * @param version Of this session, without what this process appends.
 * @param owner Whose session it is; can become known later.
 * @param isGuarded Whether a data key must be in this database, when a record names it.
 */
export function createStoreSession(
  driver: StoreDriver,
  sessionId: string,
  version: Omit<VersionSource, 'stepOf'>,
  now: () => number,
  owner: Owner = {},
  isGuarded: (did: string) => boolean = () => false,
): StoreSession {
  // Calls take effect in the order in which they were made, also on a pool of connections.
  const queue = createQueue();
  let fence: Fence | undefined;
  /** By the last item of each append that was acknowledged, since somebody asked for the version. */
  const steps = new WeakMap<AgentInputItem, AppendStep>();
  let watched = false;

  /** At once, while the call is made, unless the list is a copy that nobody else has. */
  const encode = (
    items: readonly AgentInputItem[],
    isCopy: boolean = isOwn(items),
  ): StoredRecord[] | Promise<StoredRecord[]> => {
    const at = now();
    const toRecord = (item: AgentInputItem): StoredRecord => {
      const record = encodeRecord(item, at);
      const { did, wrapped } = record;
      return did !== null && wrapped === null && isGuarded(did) ? { ...record, needsKey: true } : record;
    };
    if (!isCopy) return snapshotList(items, toRecord);
    const encoding = mapInSlices(items, toRecord, 1);
    // Somebody looks at it when it is the turn of the call.
    if (encoding instanceof Promise) encoding.catch(() => undefined);
    return encoding;
  };
  const decode = (record: StoredRecord): AgentInputItem => decodeRecord(record, sessionId);
  /** In its turn, under the fence of the moment when it was called. */
  const mutate = <T>(work: (change: ChangeHistory, fence: Fence | undefined) => Promise<T>): Promise<T> => {
    const under = fence;
    const change: ChangeHistory = (look, decide) =>
      driver.change(sessionId, under === undefined ? look : { ...look, fence: under }, decide, owner.subject);
    return queue.mutate(async () => {
      try {
        return await work(change, under);
      } catch (error) {
        if (isSubjectError(error)) owner.refused?.();
        throw error;
      }
    });
  };

  async function read(
    limit: number | undefined,
    decodeOne: (record: StoredRecord) => AgentInputItem,
  ): Promise<AgentInputItem[]> {
    const count = readLimit(limit);
    if (count === 0) return [];
    const most = count === undefined ? undefined : Math.min(count, MOST_ROWS);
    const records = await queue.read(() => driver.read(sessionId, most));
    return await mapInSlices(records, decodeOne, 1);
  }

  const members: Omit<StoreSession, typeof RECORDS> = {
    getSessionId: async () => sessionId,

    getItems: async (limit?: number) => read(limit, decode),

    async addItems(items: AgentInputItem[]): Promise<void> {
      const list = isOwn(items) ? items : listed(items);
      const encoded = encode(list);
      const last = list.at(-1);
      if (last === undefined) return;
      const mark = newMark();
      await mutate((change, under) => {
        const { subject } = owner;
        const append = (records: readonly StoredRecord[]): Promise<void> =>
          under === undefined
            ? driver.append({ sessionId, records, mark, ...(subject !== undefined && { subject }) })
            : change({ records: 0 }, () => ({ remove: 'none', insert: records, mark }));
        return Array.isArray(encoded) ? append(encoded) : encoded.then(append);
      });
      if (watched) steps.set(last, { records: list.length, mark });
    },

    async popItem(): Promise<AgentInputItem | undefined> {
      return await mutate(async (change) => {
        let popped: AgentInputItem | undefined;
        await change({ records: 1 }, ({ records: [last] }) => {
          // Decoded before it is removed: what cannot be handed out stays.
          popped = last === undefined ? undefined : decode(last);
          return last === undefined ? undefined : { remove: { start: 0, count: 1 }, insert: [] };
        });
        return popped;
      });
    },

    async clearSession(): Promise<void> {
      await mutate((change) =>
        change({ records: 0 }, () => ({ remove: 'all', insert: [], forgetOperations: true })),
      );
    },

    async replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> {
      const encoded = encode(items);
      await mutate(async (change) => {
        const records = await encoded;
        await change({ records: 'all' }, (view) => ({
          remove: 'all',
          insert: inheritBirth(records, view.records),
        }));
      });
    },

    async applyHistoryTransaction(args: SessionHistoryTransactionArgs): Promise<void> {
      const { operationId, transaction } = snapshotTransaction(args);
      const digest = transactionDigest(transaction);
      const expectedSuffix = transaction.type === 'append_items' ? undefined : transaction.expectedSuffix;
      const items = transaction.type === 'append_items' ? transaction.items : transaction.replacement;
      const encoded = encode(items, true);
      const operation = { key: operationKey(operationId), digest };
      await mutate(async (change) => {
        const records = await encoded;
        await assertProtocolItems([...(expectedSuffix ?? []), ...items]);
        await change({ records: expectedSuffix?.length ?? 0, operation: operation.key }, (view) => {
          if (assertSameOperation(view.operation, digest)) return undefined;
          if (expectedSuffix === undefined) return { remove: 'none', insert: records, operation };
          return replaceSuffix(view.records, expectedSuffix, items, records, operation);
        });
      });
    },

    async applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void> {
      const mutations = snapshotMutations(args);
      if (mutations.length === 0) return;
      await mutate(async (change) => {
        const { applySessionHistoryMutations } = await loadSdk();
        await change({ records: 'all' }, async ({ records }) => {
          const before = await mapInSlices(records, decode, 1);
          return difference(records, before, applySessionHistoryMutations(before, mutations), now());
        });
      });
    },

    async replacePrefix(args: ReplacePrefixArgs): Promise<void> {
      const { count, digest, replacement, operationId, ...rest } = readPrefixArguments(args);
      const archiveTo = readArchive(rest.archiveTo, sessionId);
      const encoded = encode(replacement, true);
      const archiving = typeof archiveTo === 'object' ? encode(archiveTo.items, true) : undefined;
      const target = typeof archiveTo === 'object' ? archiveTo.sessionId : archiveTo;
      const content = `replace_prefix ${count} ${digest} ${itemKeys(replacement)} ${JSON.stringify(target ?? null)}`;
      const operation = { key: operationKey(operationId), digest: digestOf(content) };
      await mutate(async (change) => {
        const records = await encoded;
        const archived = await archiving;
        await change({ records: count, from: 'start', operation: operation.key }, async (view) => {
          if (assertSameOperation(view.operation, operation.digest)) return undefined;
          const found = view.records.length < count ? [] : await mapInSlices(view.records, decode, 1);
          if (found.length < count || (await digestInSlices(found)) !== digest) {
            throw conflictError(SENTENCES.prefix);
          }
          return {
            remove: { start: 0, count },
            insert: inheritBirth(records, view.records),
            operation,
            ...(target !== undefined && {
              archive: { sessionId: target, records: archived ?? view.records },
            }),
          };
        });
      });
    },

    [OPERATIONS]: {
      has: (operationId: string) => queue.read(() => driver.applied(sessionId, operationKey(operationId))),
    },
    [DEK_STORE]: driver.dekStore,
    [LEASES]: {
      ...driver.leases,
      fence(next) {
        fence = next;
      },
    },
    [VERSION]: {
      known: () => version.known(),
      read() {
        watched = true;
        return queue.read(() => version.read());
      },
      compare(before, since) {
        watched = true;
        return queue.read(() => version.compare(before, since));
      },
      stepOf: (record) => steps.get(record),
    },
  };
  const session: StoreSession = {
    ...members,
    [RECORDS]: {
      of: () => session,
      members,
      made: SealedRecord,
      id: sessionId,
      read: async (limit) => read(limit, createDecoder(sessionId)),
    },
  };
  return session;
}

async function replaceSuffix(
  stored: readonly StoredRecord[],
  expected: readonly AgentInputItem[],
  items: readonly AgentInputItem[],
  records: readonly StoredRecord[],
  operation: NonNullable<Change['operation']>,
): Promise<Change> {
  const keysOfStored = await mapInSlices(stored, (record) => itemKey(decodeRecord(record, '')), 1);
  const keysOfExpected = await mapInSlices(expected, itemKey, 1);
  const matches =
    stored.length === expected.length && keysOfExpected.every((key, index) => key === keysOfStored[index]);
  if (!matches) {
    throw conflictError(SENTENCES.suffix);
  }
  // An item that stays keeps its record, with the times that it was written with.
  const take = unusedPositions(keysOfStored);
  const fresh = inheritBirth(records, stored);
  const replacing = (item: AgentInputItem, index: number): StoredRecord => {
    const same = take(itemKey(item));
    return (same === undefined ? fresh[index] : stored[same]) as StoredRecord;
  };
  const insert = await mapInSlices(items, replacing, 1);
  return { remove: { start: 0, count: stored.length }, insert, operation };
}

/** The smallest run of records that has to be written anew; `undefined` when the lists are equal. */
function difference(
  records: readonly StoredRecord[],
  before: readonly AgentInputItem[],
  after: readonly AgentInputItem[],
  now: number,
): Change | undefined {
  const old = before.map(itemKey);
  const next = after.map(itemKey);
  let start = 0;
  while (start < old.length && start < next.length && old[start] === next[start]) start++;
  let end = 0;
  while (
    end < old.length - start &&
    end < next.length - start &&
    old[old.length - 1 - end] === next[next.length - 1 - end]
  ) {
    end++;
  }
  const count = old.length - start - end;
  const written = after.slice(start, next.length - end).map((item) => encodeRecord(item, now));
  if (count === 0 && written.length === 0) return undefined;
  const replaced = records.slice(start, start + count);
  // Records inside the run that did not change are kept, so that only what was rewritten has new times.
  const kept = new Map(replaced.map((record, index) => [old[start + index], record]));
  const insert = inheritBirth(written, replaced).map(
    (record, index) => kept.get(next[start + index]) ?? record,
  );
  return { remove: { start, count }, insert };
}

/** A session of a store archives by id, or takes what a stack sealed for the archive. */
function readArchive(archiveTo: unknown, sessionId: string): ReplacePrefixArgs['archiveTo'] {
  const where = 'replacePrefix';
  if (archiveTo === undefined) return undefined;
  const sealed =
    typeof archiveTo === 'object'
      ? (archiveTo as Exclude<ReplacePrefixArgs['archiveTo'], string>)
      : undefined;
  const target: unknown = sealed === undefined ? archiveTo : sealed?.sessionId;
  checkText(where, 'archiveTo', target, MAX_BYTES.sessionId);
  if (target === sessionId) return invalidOption(where, 'archiveTo', 'the id of another session', target);
  if (sealed === undefined) return target;
  const { items } = sealed;
  return { sessionId: target, items: isOwn(items) ? items : snapshotList(items) };
}
