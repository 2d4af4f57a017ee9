import type {
  AgentInputItem,
  Session,
  SessionHistoryRewriteArgs,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import { createStoreMembers } from '../engine/store-members.ts';
import type { DekStore } from '../keys/dek-store.ts';
import type { HistoryVersion, MaybePromise, VersionSource } from '../layer.ts';
import { operationKey } from '../protocol/digest.ts';
import { ledgerOf } from '../protocol/ledger.ts';
import { createQueue } from '../queue.ts';
import { SealedRecord } from '../protocol/sealed-record.ts';
import {
  COPY,
  COPY_RECORDS,
  type CopyBeginning,
  type CopyRecordsArgs,
  DEK_STORE,
  type DERIVE,
  ADMIT,
  type Admit,
  LEASES,
  type Derive,
  type Fence,
  type SessionLeases,
  VERSION,
  OPERATIONS,
  RECORDS,
  type RecordSource,
  SHARE_RECORDS,
  type ShareRecordsArgs,
  STORE_MEMBERS,
  STORE_NAME,
} from '../session-contract.ts';
import type { Scope } from './admission.ts';
import type { StoreDriver, StoredRecord } from './driver.ts';
import { isSubjectError } from './failure.ts';
import { createDecoder, decodeRecord, inheritBirth } from './record.ts';
import type { ChangeHistory, Changing } from './session/changing.ts';
import { createAppends } from './session/append.ts';
import { copyBeginning, copyRecords, shareRecords } from './session/copying.ts';
import { createEncode } from './session/encode.ts';
import { applyMutations } from './session/mutations.ts';
import { replacePrefix, type ReplacePrefixArgs } from './session/prefix.ts';
import { createReading } from './session/reading.ts';
import { applyTransaction } from './session/transaction.ts';

/** A session of a store: the SDK's `Session` with the optional members that a database supports well. */
export interface StoreSession extends Session {
  replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void>;
  /** Atomic and idempotent by `operationId`; the log keeps the last operations of a session. */
  applyHistoryTransaction(args: SessionHistoryTransactionArgs): Promise<void>;
  applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void>;
  /**
   * Compares and replaces the oldest items in one transaction. Appends do not conflict with it.
   *
   * @throws `ERR_CONFLICT` when the oldest items differ, or the operation id was used for another operation.
   */
  replacePrefix(args: ReplacePrefixArgs): Promise<void>;
  readonly [OPERATIONS]: { has(operationId: string): Promise<boolean> };
  readonly [STORE_NAME]: string;
  readonly [DEK_STORE]: DekStore;
  readonly [LEASES]: SessionLeases;
  readonly [ADMIT]?: Admit;
  readonly [RECORDS]: RecordSource;
  readonly [VERSION]: VersionSource;
  readonly [DERIVE]?: Derive;
  readonly [COPY]: CopyBeginning;
  readonly [COPY_RECORDS]: (args: CopyRecordsArgs) => Promise<void>;
  readonly [STORE_MEMBERS]: typeof createStoreMembers;
  readonly [SHARE_RECORDS]?: (args: ShareRecordsArgs) => Promise<void>;
}

/** The subject of the session, as far as this process knows. */
export interface Owner {
  subject?: string | undefined;
  /** Called when the session has another subject. */
  readonly refused?: () => void;
  /** This process removed the session: its subject stays with this object, and binds no other one. */
  removed?: boolean;
}

/**
 * The implementation of the SDK's rules over a driver.
 *
 * @param now Unix milliseconds, for items that state no time themselves.
 * @param version Of this session, without the appends of this process. @param owner The subject of the session; can
 * become known later.
 * @param isGuarded Whether a data key must be in this database, when a record names it. @param scope Of the calls for
 * which the store waits when it closes; it refuses later ones at once.
 */
export function createStoreSession(
  driver: StoreDriver,
  sessionId: string,
  version: Omit<VersionSource, 'stepOf'>,
  now: () => number,
  owner: Owner = {},
  isGuarded: (did: string) => boolean = () => false,
  scope?: Scope,
): StoreSession {
  // Calls take effect in the order in which they were made, also on a pool of connections.
  const queue = createQueue();
  let fence: Fence | undefined;

  const encode = createEncode(now, isGuarded);
  const decode = (record: StoredRecord): AgentInputItem => decodeRecord(record, sessionId);
  /** Queued, with the fence at the time of the call. */
  const mutate = <T>(work: (change: ChangeHistory, fence: Fence | undefined) => Promise<T>): Promise<T> => {
    const under = fence;
    const change: ChangeHistory = (look, decide) =>
      driver.change(sessionId, under === undefined ? look : { ...look, fence: under }, decide, {
        subject: owner.subject,
      });
    return queue.mutate(async () => {
      try {
        return await work(change, under);
      } catch (error) {
        if (isSubjectError(error)) owner.refused?.();
        throw error;
      }
    });
  };

  const changing: Changing = { sessionId, encode, decode, mutate, now };
  const appends = createAppends(driver, owner, changing);

  const reading = createReading(driver, queue, sessionId);

  const ledger = ledgerOf(sessionId, scope?.admit);
  const run = <T>(call: () => Promise<T>): Promise<T> => (scope === undefined ? call() : scope.run(call));

  const members: RecordSource['members'] = {
    getSessionId: async () => sessionId,

    getItems: (limit?: number) => run(() => reading.items(limit, decode)),

    addItems: (items) => run(() => appends.addItems(items)),
  };

  const session: StoreSession = {
    ...members,

    popItem: () =>
      run(() =>
        mutate(async (change) => {
          let popped: AgentInputItem | undefined;
          await change({ records: 1 }, ({ records: [last] }) => {
            // Decoded before it is removed: a record that cannot be returned stays.
            popped = last === undefined ? undefined : decode(last);
            return last === undefined ? undefined : { remove: { start: 0, count: 1 }, insert: [] };
          });
          return popped;
        }),
      ),

    clearSession: () =>
      run(() =>
        mutate((change) =>
          change({ records: 0 }, () => ({ remove: 'all', insert: [], forgetOperations: true })),
        ),
      ),

    replaceHistoryWithCompaction: (items: AgentInputItem[]) =>
      run(async () => {
        const encoded = encode(items);
        await mutate(async (change) => {
          const records = await encoded;
          await change({ records: 'all' }, (view) => ({
            remove: 'all',
            insert: inheritBirth(records, view.records),
          }));
        });
      }),

    applyHistoryTransaction: (args) => run(() => applyTransaction(changing, args)),

    applyHistoryMutations: (args) => run(() => applyMutations(changing, args)),

    replacePrefix: (args) => run(() => replacePrefix(changing, args)),

    [COPY]: (plan) => run(() => copyBeginning(changing, plan, driver.shares === true)),
    ...(driver.shares === true && {
      [SHARE_RECORDS]: (args: ShareRecordsArgs) => run(() => shareRecords(changing, args)),
    }),
    [COPY_RECORDS]: (args) => run(() => copyRecords(changing, args)),
    [STORE_MEMBERS]: createStoreMembers,

    [OPERATIONS]: {
      has: (operationId: string) =>
        run(async () => queue.read(() => driver.applied(sessionId, operationKey(operationId)))),
    },
    [STORE_NAME]: driver.name,
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
        const read = (): MaybePromise<HistoryVersion> => {
          appends.watch();
          return queue.read(() => version.read());
        };
        return scope === undefined ? read() : scope.runNow(read);
      },
      compare(before, since) {
        appends.watch();
        return queue.read(() => version.compare(before, since));
      },
      stepOf: appends.stepOf,
    },
    ...(scope !== undefined && { [ADMIT]: scope.admit }),
    [RECORDS]: {
      of: () => session,
      members,
      made: SealedRecord,
      id: sessionId,
      read: (limit) => run(() => reading.items(limit, createDecoder(sessionId))),
      past: (count, skip) => run(() => reading.past(count, skip)),
      ...(ledger !== undefined && { ledger }),
    },
  };
  const guarded = ledger?.membersOf(session);
  Object.assign(members, guarded);
  return Object.assign(session, guarded);
}
