import type { AgentInputItem, Session } from '@openai/agents';
import { defined } from '../defined.ts';
import { isStrongroomError, type ErrorCode } from '../errors.ts';
import type { DekStore } from '../keys/dek-store.ts';
import type { Header, Entry, CallOrigin } from '../layer.ts';
import { parseDuration, type Duration } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { envelopeText, readHeader } from '../protocol/envelope.ts';
import { mapInSlices, slices } from '../slices.ts';
import { deriveOf } from '../session-contract.ts';
import type { Store } from '../stores/store.ts';
import { innermostOf } from '../wrap-session.ts';
import { keyAccess, openOrShredded, replaceRecords, type KeyAccess } from './access.ts';
import { asCall, asCallOfEach } from './as-call.ts';
import { isKey } from './erasure/tombstones.ts';
import { wrapAnew } from './rewrap.ts';
import { kinOf } from './shared-keys.ts';
import { isStore, isVault, sessionsWithKeysOf } from './targets.ts';

/** The result of {@link reencrypt}. */
export interface ReencryptReport {
  readonly sessions: number;
  /** Entries that were sealed again. */
  readonly entries: number;
  /** Records that were shredded before, which are not changed. */
  readonly shredded: number;
  /** Ids of old data keys that were destroyed in their DEK store. */
  readonly destroyed: readonly string[];
  /** Sessions whose old data keys were not destroyed because of a hold. */
  readonly held: readonly string[];
  /**
   * Sessions of a store that were not finished, and why, at most 1,000 of them: a record or a data key that does not open. Their old
   * data keys were not destroyed; a second run finishes the work. Absent when there are none.
   */
  readonly failures?: readonly { readonly sessionId: string; readonly code: ErrorCode }[];
}

const MAX_FAILURES = 1_000;

/** What is wrong with one session, and says nothing about the others. */
const OF_ONE_SESSION: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_INVALID_ITEM',
  'ERR_NOT_SEALED',
  'ERR_MALFORMED',
  'ERR_UNSUPPORTED',
  'ERR_KEY_UNKNOWN',
  'ERR_KEY_DISABLED',
  'ERR_COMMITMENT',
  'ERR_AUTHENTICATION',
  'ERR_CONFLICT',
]);

/** How a vault looks that another stack opens, with keys or a context of its own. */
const OF_ANOTHER_STACK: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['ERR_KEY_UNKNOWN', 'ERR_COMMITMENT']);

/** Options of {@link reencrypt}. */
export interface ReencryptOptions extends CallOrigin {
  /**
   * How long to wait between the last use of the old data keys here and their destruction. It must be at least the
   * time for which other processes keep opened data keys (`dataKeys.cacheFor`) plus one call of theirs, so that
   * none of them seals with a destroyed key; `0` without other processes. @defaultValue `'5m'`; there is no wait
   * when no data key is to be destroyed
   */
  readonly grace?: Duration;
  /** Ends the run between two sessions, or the wait. */
  readonly signal?: AbortSignal;
  /** Called after each session. */
  readonly onProgress?: (progress: { readonly sessions: number; readonly entries: number }) => void;
}

/**
 * Seals every entry again under a new data key and destroys the old ones: for a data key, or a key-encryption key,
 * that may be compromised. One transaction for each session, so that a crash leaves a session unchanged or complete; a second run finishes the work.
 * Stamps do not change. A branch that shared records of the session has its own afterwards. Operation tags belong to the old key and are removed: a repeat of an earlier operation is
 * no longer recognised by its records.
 *
 * Data keys in a DEK store are first marked as open-only, so that every process stops sealing with them when it
 * loads them again; after `grace`, entries that were sealed under them meanwhile are sealed again, too, and after a
 * `grace` without such entries the old keys are destroyed. Where data keys are inline, a writer in another process
 * uses its key until its next epoch: restart writers after a compromise.
 *
 * @param target A wrapped session or a wrapped store. Vaults of `redact()` in the store are sealed again, too, unless the keyring
 * does not have their key, or they have another context. A session of a store whose records do not open is reported, and the others are finished.
 * @throws For one session `ERR_UNSUPPORTED` without transactions, and the error of a record that does not open: then no record of it
 * was changed; `ERR_KEY_UNAVAILABLE` and `ERR_STORE` when it is better to try again later.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring, wrapStore } from 'strongroom';
 * import { reencrypt } from 'strongroom/keys';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sessions = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
 * await reencrypt(sessions, { grace: 0 }); // no other process writes
 * ```
 */
export async function reencrypt(
  target: Session | Store,
  options: ReencryptOptions = {},
): Promise<ReencryptReport> {
  return asCall(target, 'reencrypt', options, async () => reencryptAll(target, options));
}

async function reencryptAll(target: Session | Store, options: ReencryptOptions): Promise<ReencryptReport> {
  checkCall('reencrypt', options, ['grace', 'signal', 'onProgress']);
  const origin = originOf(options);
  const { grace = '5m', signal, onProgress } = options;
  const graceTime = grace === 0 ? 0 : parseDuration('reencrypt', 'grace', grace);
  const report = { sessions: 0, entries: 0, shredded: 0 };
  const retired: Retired[] = [];
  const held: string[] = [];
  const failures: { sessionId: string; code: ErrorCode }[] = [];
  /** Notes a session that is not finished. Throws what concerns the others, too. */
  const leave = (sessionId: string, error: unknown): void => {
    if (!isStrongroomError(error)) throw error;
    const { code } = error;
    if (code === 'ERR_HELD') held.push(sessionId);
    else if (!isStore(target) || !OF_ONE_SESSION.has(code)) throw error;
    else if (failures.length < MAX_FAILURES) failures.push({ sessionId, code });
  };
  for await (const session of sessionsWithKeysOf('reencrypt', target)) {
    signal?.throwIfAborted();
    const access = await keyAccess('reencrypt', session, origin);
    let result: Awaited<ReturnType<typeof retireAndSeal>>;
    try {
      result = await asCallOfEach(target, session, 'reencrypt', options, async () => retireAndSeal(access));
    } catch (error) {
      const isOfAnother =
        isVault(access.sessionId) && isStrongroomError(error) && OF_ANOTHER_STACK.has(error.code);
      if (!isOfAnother || !isStore(target)) leave(access.sessionId, error);
      continue;
    }
    const { old, entries, shredded } = result;
    if (old.length > 0) retired.push({ session, old });
    report.sessions++;
    report.entries += entries;
    report.shredded += shredded;
    onProgress?.({ sessions: report.sessions, entries: report.entries });
  }
  const destroyed: string[] = [];
  /**
   * Destroys the old keys, unless one of them sealed meanwhile: then these entries are sealed again, and the result
   * is `true` for another round.
   */
  const finish = async (session: Session, old: readonly OldKey[]): Promise<boolean> => {
    const access = await keyAccess('reencrypt', session, origin);
    const dids = new Set(old.map(({ did }) => did));
    const isOld = (header: Header | undefined): boolean => header?.d !== undefined && dids.has(header.d);
    try {
      let { entries } = await sealAnew(access, isOld);
      for (const other of old.length === 0 ? [] : await sharersOf(session))
        // A call on each, because it changes them.
        entries += await asCall(other, 'reencrypt', options, async () => {
          return (await sealAnew(await keyAccess('reencrypt', other, origin), isOld)).entries;
        });
      report.entries += entries;
      if (entries > 0) return true;
      for (const { store, did } of old) {
        await store.destroy(access.sessionId, did);
        destroyed.push(did);
      }
    } catch (error) {
      leave(access.sessionId, error);
    }
    for (const { did } of old) access.sealer.forget(access.sessionId, did);
    return false;
  };
  // Until a round finds no entry that an old key sealed meanwhile: then no record has needed the old keys for a
  // whole `grace`, so that no running read still needs a key that is destroyed.
  for (let pending = retired; pending.length > 0;) {
    signal?.throwIfAborted();
    if (graceTime > 0) await wait(graceTime, signal);
    const late: Retired[] = [];
    for (const { session, old } of pending) {
      signal?.throwIfAborted();
      const again = await asCallOfEach(target, session, 'reencrypt', options, async () =>
        finish(session, old),
      );
      if (again) late.push({ session, old });
    }
    pending = late;
  }
  return defined({ ...report, destroyed, held, failures: failures.length > 0 ? failures : undefined });
}

/** Ends the use of the session's data keys for new records, and seals the existing ones again. */
async function retireAndSeal(
  access: KeyAccess,
): Promise<{ readonly old: readonly OldKey[]; readonly entries: number; readonly shredded: number }> {
  const old = await retire(access);
  access.sealer.forget(access.sessionId);
  return { old, ...(await sealAnew(access, () => true)) };
}

/** The other histories that can have records of this session: those which share some. */
async function sharersOf(session: Session): Promise<Session[]> {
  const derive = deriveOf(session);
  if (derive === undefined) return [];
  return (await kinOf(await innermostOf(session).getSessionId(), derive.tree)).map((id) => derive.open(id));
}

interface OldKey {
  readonly store: DekStore;
  readonly did: string;
}

interface Retired {
  readonly session: Session;
  readonly old: readonly OldKey[];
}

/** Marks the session's data keys in its DEK stores as open-only. */
async function retire({ scope, sessionId }: KeyAccess): Promise<OldKey[]> {
  const old: OldKey[] = [];
  for (const store of scope.stores) {
    for await (const record of store.list({ sessionId })) {
      if (!isKey(record)) continue;
      const next = await wrapAnew(record, scope.ring, scope.context.hash, true);
      // Another process rewrapped it: the data key may still seal, so this run must not destroy it.
      const marked = await store.replaceWrapped(sessionId, record.did, record.wrapped, next);
      if (marked) old.push({ store, did: record.did });
    }
  }
  return old;
}

/** Seals the records that `concerns` names under a new data key, in one transaction. */
async function sealAnew(
  access: KeyAccess,
  concerns: (header: Header | undefined) => boolean,
): Promise<{ entries: number; shredded: number }> {
  const { sealer, scope } = access;
  let counts = { entries: 0, shredded: 0 };
  const open = async (record: AgentInputItem): Promise<Entry | 'shredded' | undefined> => {
    const text = envelopeText(record);
    if (!concerns(text === undefined ? undefined : readHeader(text))) return undefined;
    return openOrShredded(sealer, record, scope);
  };
  // The result for a record, by its JSON. Kept across attempts: in a busy session the next attempt has to be fast
  // to succeed. With keys in a DEK store, entries that are appended meanwhile are left to the next round, because a
  // new data key is written there first; inline keys have no next round.
  const outcomes = new Map<string, AgentInputItem | 'shredded' | undefined>();
  let first = true;
  await replaceRecords('reencrypt', access, async (records) => {
    const names = await mapInSlices(records, (record) => JSON.stringify(record));
    if (first || scope.inline || scope.stores.length === 0) {
      const opened: { name: string; entry: Entry }[] = [];
      for (const [index, record] of records.entries()) {
        const name = names[index] as string;
        if (outcomes.has(name)) continue;
        if (slices.isOver()) await slices.next();
        const entry = await open(record);
        if (typeof entry === 'object') opened.push({ name, entry });
        else outcomes.set(name, entry);
      }
      if (opened.length > 0) {
        const entries = opened.map(({ entry }) => entry);
        const sealed = (await sealer.reseal(entries, scope)).values();
        for (const { name } of opened) outcomes.set(name, sealed.next().value);
      }
      first = false;
    }
    const found = names.map((name) => outcomes.get(name));
    counts = {
      entries: found.filter((outcome) => typeof outcome === 'object').length,
      shredded: found.filter((outcome) => outcome === 'shredded').length,
    };
    if (counts.entries === 0) return undefined;
    return records.map((record, index) => {
      const sealed = found[index];
      return typeof sealed === 'object' ? ({ ...record, ...sealed } as AgentInputItem) : record;
    });
  });
  return counts;
}

function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      },
      { once: true },
    );
  });
}
