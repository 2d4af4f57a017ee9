import type { AgentInputItem, Session } from '@openai/agents';
import { checkContext } from '../context.ts';
import { bindingContext, dataKeyId } from '../crypto/derive.ts';
import { toBase64url } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { SUITE_NAMES } from '../crypto/suite.ts';
import { isStrongroomError, StrongroomError, type ErrorCode } from '../errors.ts';
import type { DekRecord, DekStore } from '../keys/dek-store.ts';
import type { Keyring } from '../keys/keyring.ts';
import { parseWrappedKey } from '../keys/wrapped-key.ts';
import type { CallOrigin } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { carrierOf, envelopeText, formatEnvelope, parseEnvelope } from '../protocol/envelope.ts';
import { recordOrigin } from '../protocol/record-origin.ts';
import { slices } from '../slices.ts';
import type { Store } from '../stores/store.ts';
import { layersOfStore } from '../wrap-store.ts';
import { keyAccess, replaceRecords } from './access.ts';
import { asCall, asCallOfEach } from './as-call.ts';
import { isKey } from './erasure/tombstones.ts';
import { keyPlacesOf } from './key-places.ts';
import { isDekStore, isStore, sessionsWithKeysOf } from './targets.ts';

/** The progress of a run over many data keys. */
export interface RewrapProgress {
  /** Data keys that were checked. */
  readonly examined: number;
  /** Data keys that the current key wraps now. */
  readonly rewrapped: number;
  /** Data keys that did not open, or are inline in a session under a legal hold, whose records nothing replaces. */
  readonly failed: number;
}

/** The result of {@link rewrap}. */
export interface RewrapReport extends RewrapProgress {
  /** Why data keys were not rewrapped, at most 1,000 of them. */
  readonly failures: readonly {
    readonly sessionId: string;
    readonly did: string;
    readonly code: ErrorCode;
  }[];
}

/** Options of {@link rewrap}. */
export interface RewrapOptions extends CallOrigin {
  /**
   * The keyring that opens the old keys; its current key wraps the data keys. Only where the target has no
   * `encrypt()`.
   */
  readonly keys?: Keyring;
  /** The `context` that `encrypt()` has, for each session. Only where the target has no `encrypt()`. */
  readonly context?:
    Readonly<Record<string, string>> | ((sessionId: string) => Readonly<Record<string, string>>);
  /** Only data keys that this key wraps. @defaultValue all that the current key does not wrap */
  readonly kid?: string;
  /** Ends the run between two data keys; finished work is kept, and another run continues. */
  readonly signal?: AbortSignal;
  /** Called after each data key. */
  readonly onProgress?: (progress: RewrapProgress) => void;
}

const MAX_FAILURES = 1_000;

/**
 * Wraps data keys with the current key-encryption key; no item is changed. For the planned end of a key-encryption
 * key. When a key was stolen, the thief may have opened the data keys already: see {@link reencrypt}.
 *
 * Over a DEK store each data key is replaced by compare-and-swap, so that it is safe beside live traffic and other
 * runs. Over a wrapped session, or a wrapped store, whose data keys are in the envelopes (`inline`), the records of
 * a session are replaced in one transaction. After a stop or a crash the next run continues.
 *
 * @param target A DEK store, a store (its table of data keys), a wrapped session, or a wrapped store, with the vaults of `redact()`
 * in it. A wrapped store does not reach the data keys of cleared and deleted sessions in a `dekStore` of your own, which other
 * stores may share: run it over that DEK store for those.
 * @throws `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` for inline keys in a session without transactions;
 * `ERR_KEY_UNAVAILABLE` and `ERR_STORE` when it is better to try again later. Data keys that do not open for another
 * reason are reported, and so are inline ones of sessions under a legal hold (`ERR_HELD`): run it again after the release.
 * @example
 * ```ts
 * import { generateKey, keyring } from 'strongroom';
 * import { rewrap, sqliteDekStore } from 'strongroom/keys';
 *
 * await using dekStore = sqliteDekStore('keys.db');
 * const old = await generateKey();
 * const keys = keyring({ current: await generateKey(), previous: [old] });
 * const { rewrapped, failures } = await rewrap(dekStore, { keys });
 * ```
 */
export async function rewrap(
  target: DekStore | Session | Store,
  options: RewrapOptions = {},
): Promise<RewrapReport> {
  return asCall(target, 'rewrap', options, async () => rewrapAll(target, options));
}

async function rewrapAll(target: DekStore | Session | Store, options: RewrapOptions): Promise<RewrapReport> {
  checkCall('rewrap', options, ['keys', 'context', 'kid', 'signal', 'onProgress']);
  const run = createRun(options);
  if (isDekStore(target) || (isStore(target) && layersOfStore(target).length === 0)) {
    const { keys, context } = options;
    if (keys === undefined) {
      invalidOption(
        'rewrap',
        'keys',
        'a keyring, because the target is a DEK store or a store without layers',
        keys,
      );
    }
    const fixed =
      context === undefined || typeof context === 'function' ? {} : checkContext('rewrap', context);
    const contextOf = (sessionId: string): Uint8Array => {
      const entries = typeof context === 'function' ? checkContext('rewrap', context(sessionId)) : fixed;
      return bindingContext(sessionId, entries).hash;
    };
    for (const store of (await keyPlacesOf('rewrap', target)).stores) {
      await rewrapDekStore(store, keys, contextOf, run, options);
    }
    return run.report();
  }
  if (options.keys !== undefined || options.context !== undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      'rewrap: keys and context come from the encrypt() layer of a wrapped session; pass them for a DEK store only.',
    );
  }
  for await (const session of sessionsWithKeysOf('rewrap', target)) {
    options.signal?.throwIfAborted();
    await asCallOfEach(target, session, 'rewrap', options, async () => rewrapSession(session, run, options));
  }
  return run.report();
}

async function rewrapSession(session: Session, run: Run, options: RewrapOptions): Promise<void> {
  const access = await keyAccess('rewrap', session, originOf(options));
  for (const store of access.scope.stores) {
    const { ring, context } = access.scope;
    await rewrapDekStore(store, ring, () => context.hash, run, options, access.sessionId);
  }
  // By the old wrapped key; kept across attempts, so that each is tried and counted once.
  const wrappedAnew: WrappedAnew = new Map();
  try {
    await replaceRecords('rewrap', access, async (records) => {
      const { ring, context } = access.scope;
      const next: AgentInputItem[] = [];
      for (const record of records) {
        if (slices.isOver()) await slices.next();
        next.push(
          await rewrapRecord(record, ring, context.hash, access.sessionId, wrappedAnew, run, options),
        );
      }
      return next.some((record, index) => record !== records[index]) ? next : undefined;
    });
  } catch (error) {
    if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
    // The records stay as they are, so none of these keys was replaced.
    for (const { did, next } of wrappedAnew.values())
      if (next !== undefined) run.undone({ sessionId: access.sessionId, did }, error.code);
  }
}

/** The id of each data key of a session, and its new wrapped form; `undefined` when it did not open. */
type WrappedAnew = Map<string, { readonly did: string; readonly next: string | undefined }>;

async function rewrapDekStore(
  store: DekStore,
  ring: Keyring,
  contextOf: (sessionId: string) => Uint8Array,
  run: Run,
  options: RewrapOptions,
  sessionId?: string,
): Promise<void> {
  for await (const record of store.list({ sessionId, kid: options.kid })) {
    options.signal?.throwIfAborted();
    if (record.kid === ring.current || !isKey(record)) continue;
    // Outside of the attempt: an invalid context is a mistake of the caller and not a damaged data key.
    const contextHash = contextOf(record.sessionId);
    await run.attempt(record, async () => {
      const next = await wrapAnew(record, ring, contextHash);
      // Lost to another run, or destroyed meanwhile: either way there is nothing left to do here.
      return store.replaceWrapped(record.sessionId, record.did, record.wrapped, next);
    });
  }
}

async function rewrapRecord(
  record: AgentInputItem,
  ring: Keyring,
  contextHash: Uint8Array,
  sessionId: string,
  wrappedAnew: WrappedAnew,
  run: Run,
  options: RewrapOptions,
): Promise<AgentInputItem> {
  options.signal?.throwIfAborted();
  const text = envelopeText(record);
  // One that another session has, too, is that one's; a stack with keys in its records shares none.
  if (text === undefined || recordOrigin(record) !== undefined) return record;
  let envelope;
  let kid: string;
  try {
    envelope = parseEnvelope(text);
    if (envelope.wrapped === undefined) return record;
    ({ kid } = parseWrappedKey(envelope.wrapped));
  } catch {
    // Reading the session says what is wrong with it.
    return record;
  }
  const { headerSegment, body, wrapped, header } = envelope;
  if (kid === ring.current || (options.kid !== undefined && kid !== options.kid)) return record;
  if (!wrappedAnew.has(wrapped)) {
    const did = header.d as string;
    wrappedAnew.set(wrapped, { did, next: undefined });
    await run.attempt({ sessionId, did }, async () => {
      wrappedAnew.set(wrapped, { did, next: (await wrapAnew({ did, wrapped }, ring, contextHash)).wrapped });
      return true;
    });
  }
  const next = wrappedAnew.get(wrapped)?.next;
  return next === undefined ? record : withText(record, formatEnvelope(headerSegment, body, next));
}

/** The record with another envelope; ids of the backend stay. */
function withText(record: AgentInputItem, text: string): AgentInputItem {
  return { ...record, ...carrierOf(text) } as AgentInputItem;
}

/** The data key under the current key; it stays open-only if it was. */
export async function wrapAnew(
  { did, wrapped }: Pick<DekRecord, 'did' | 'wrapped'>,
  ring: Keyring,
  contextHash: Uint8Array,
  retire = false,
): Promise<{ wrapped: string; kid: string }> {
  const binding = { contextHash: toBase64url(contextHash) };
  const { dek, openOnly } = await ring.unwrap(wrapped, binding);
  try {
    // Never wrap a data key that does not match the id in the record: a swapped key would become a valid one.
    const committed = SUITE_NAMES.some((suite) => constantTimeEqual(dataKeyId(dek, suite, contextHash), did));
    if (!committed) {
      throw new StrongroomError(
        'ERR_COMMITMENT',
        'A wrapped data key does not match its id, or belongs to a different session or context. Compare the session and the context; if they are the same, restore the data key from a backup.',
      );
    }
    return await ring.wrap(dek, binding, { openOnly: openOnly || retire });
  } finally {
    dek.fill(0);
  }
}

interface Run {
  attempt(
    of: { readonly sessionId: string; readonly did: string },
    work: () => Promise<boolean>,
  ): Promise<void>;
  /** The result of an attempt that succeeded could not be stored. */
  undone(of: { readonly sessionId: string; readonly did: string }, code: ErrorCode): void;
  report(): RewrapReport;
}

const ABORTING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_KEY_UNAVAILABLE',
  'ERR_STORE',
  'ERR_CLOSED',
]);

function createRun(options: RewrapOptions): Run {
  const progress = { examined: 0, rewrapped: 0, failed: 0 };
  const failures: { sessionId: string; did: string; code: ErrorCode }[] = [];
  const failed: Run['undone'] = ({ sessionId, did }, code) => {
    progress.failed++;
    if (failures.length < MAX_FAILURES) failures.push({ sessionId, did, code });
  };
  return {
    async attempt({ sessionId, did }, work) {
      progress.examined++;
      try {
        if (await work()) progress.rewrapped++;
      } catch (error) {
        if (!isStrongroomError(error) || ABORTING.has(error.code)) throw error;
        failed({ sessionId, did }, error.code);
      }
      options.onProgress?.({ ...progress });
    },
    undone(of, code) {
      progress.rewrapped--;
      failed(of, code);
    },
    report: () => ({ ...progress, failures }),
  };
}
