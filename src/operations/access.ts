import type { AgentInputItem, Session, SessionHistoryTransactionArgs } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { checkedRecords } from '../engine/inner-records.ts';
import { stackClock } from '../engine/stack.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { sealers, type Sealer } from '../layers/encrypt/sealer.ts';
import { innermostOf, layersOf } from '../wrap-session.ts';
import type { DekStore } from '../keys/dek-store.ts';
import { DEK_STORE, usageLedgerOf } from '../session-contract.ts';
import type { SessionCall, Entry, CallKind, CallOrigin } from '../layer.ts';
import type { DataKeyScope } from '../keys/data-keys/types.ts';

interface InnerSession extends Session {
  applyHistoryTransaction?(args: SessionHistoryTransactionArgs): Promise<void>;
  readonly [DEK_STORE]?: DekStore;
}

/** The parts of one wrapped session that functions on keys need. */
export interface KeyAccess {
  readonly sessionId: string;
  readonly inner: InnerSession;
  readonly sealer: Sealer;
  readonly call: SessionCall;
  readonly scope: DataKeyScope;
}

/**
 * Finds the `encrypt()` layer of a wrapped session and asks it for the session's keyring and context.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when the session has no such layer.
 */
export async function keyAccess(
  where: CallKind,
  session: Session,
  origin: CallOrigin = {},
): Promise<KeyAccess> {
  const layers = typeof session === 'object' && session !== null ? layersOf(session) : [];
  const sealer = layers.map((layer) => sealers.get(layer)).find((found) => found !== undefined);
  if (sealer === undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: the session must be one that wrapSession() or wrapStore() made with an encrypt() layer.`,
    );
  }
  const inner = innermostOf(session) as InnerSession;
  const sessionId = await inner.getSessionId();
  const dekStore = inner[DEK_STORE];
  const call: SessionCall = {
    kind: where,
    sessionId,
    ...origin,
    inner,
    layers,
    routesByRunContext: false,
    sealed: true,
    dekStore,
    now: stackClock(layers),
    lookBack: () => Promise.resolve(undefined),
    skipped: () => undefined,
    result: {},
  };
  return { sessionId, inner, sealer, call, scope: await sealer.scopeOf(call) };
}

/**
 * The entry in a record, `'shredded'` when its data key was destroyed; throws for any other record that does not
 * open.
 */
export async function openOrShredded(
  sealer: Sealer,
  record: AgentInputItem,
  scope: DataKeyScope,
): Promise<Omit<Entry, 'stored'> | 'shredded'> {
  try {
    return sealer.accepts(record, scope) ?? (await sealer.open(record, scope));
  } catch (error) {
    if (isStrongroomError(error) && error.code === 'ERR_SHREDDED') return 'shredded';
    throw error;
  }
}

/** Each is a read and a transaction, which succeeds between two appends of other processes. */
const ATTEMPTS = 100;

/**
 * Replaces all records of a session in one transaction. `transform` returns as many records as it got, or
 * `undefined` when nothing has to change. After a concurrent write the records are read and transformed again.
 *
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when the inner session has no transactions.
 */
export async function replaceRecords(
  where: string,
  { inner, sessionId }: Pick<KeyAccess, 'inner' | 'sessionId'>,
  transform: (records: readonly AgentInputItem[]) => Promise<AgentInputItem[] | undefined>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const records = checkedRecords(await inner.getItems());
    const replacement = await transform(records);
    if (replacement === undefined || records.length === 0) return;
    if (typeof inner.applyHistoryTransaction !== 'function') {
      throw new StrongroomError(
        'ERR_UNSUPPORTED',
        `${where}: session ${JSON.stringify(sessionId)} has no transactions, and clearing and writing it again could ` +
          'lose it in a crash. Copy it into a store that has them.',
      );
    }
    const args: SessionHistoryTransactionArgs = {
      operationId: `${where}-${randomName()}`,
      transaction: { type: 'replace_suffix', expectedSuffix: [...records], replacement },
    };
    // The same items in another form: a ledger would not know its records.
    usageLedgerOf(inner)?.passOn(args);
    try {
      await inner.applyHistoryTransaction(args);
      return;
    } catch (error) {
      const now = await inner.getItems();
      if (attempt >= ATTEMPTS || JSON.stringify(now) === JSON.stringify(records)) throw error;
    }
  }
}
