import type { AgentInputItem, Session } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import type { DekStore } from '../keys/dek-store.ts';
import type { Header, Entry, CallOrigin } from '../layer.ts';
import { parseDuration, type Duration } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { envelopeText, readHeader } from '../protocol/envelope.ts';
import { mapInSlices, slices } from '../slices.ts';
import type { Store } from '../stores/store.ts';
import { keyAccess, openOrShredded, replaceRecords, type KeyAccess } from './access.ts';
import { asCall, asCallOfEach } from './as-call.ts';
import { wrapAnew } from './rewrap.ts';
import { sessionsWithKeysOf } from './targets.ts';

/** What {@link reencrypt} did. */
export interface ReencryptReport {
  readonly sessions: number;
  /** Entries sealed anew. */
  readonly entries: number;
  /** Records that had been shredded before, left as they are. */
  readonly shredded: number;
  /** Ids of old data keys that were destroyed in their DEK store. */
  readonly destroyed: readonly string[];
  /** Sessions whose old data keys a hold keeps from being destroyed. */
  readonly held: readonly string[];
}

/** Options of {@link reencrypt}. */
export interface ReencryptOptions extends CallOrigin {
  /**
   * How long to wait between the last use of the old data keys here and their destruction. It must be as long as other
   * processes keep opened data keys (`dataKeys.cacheFor`) and a call of theirs takes, so that none of them seals with one
   * that is gone; `0` when there are none. @defaultValue `'5m'`; nothing is waited for when no data key is to be destroyed
   */
  readonly grace?: Duration;
  /** Ends the run between two sessions, or the waiting. */
  readonly signal?: AbortSignal;
  /** Called after each session. */
  readonly onProgress?: (progress: { readonly sessions: number; readonly entries: number }) => void;
}

/**
 * Seals every entry again under a new data key and destroys the old ones: for a data key, or a key-encryption key,
 * that may be compromised. One transaction for each session, so that a crash leaves a session unchanged or complete; a second run finishes the work.
 * Stamps stay as they are. Operation tags belong to the old key and are removed: a repeat of an earlier operation is
 * no longer recognised by its records.
 *
 * Data keys in a DEK store are first marked as open-only, so that every process stops sealing with them when it asks for
 * them again; after `grace` what was sealed meanwhile is sealed anew, too, and once a `grace` has passed with nothing of that
 * kind the old keys are destroyed. Where data
 * keys are inline, a writer in another process goes on with its key until its next epoch: restart writers after a
 * compromise.
 *
 * @param target A wrapped session or a wrapped store.
 * @throws `ERR_UNSUPPORTED` for a session without transactions; what reading throws for records that do not open:
 * nothing of that session is changed then.
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
  for await (const session of sessionsWithKeysOf('reencrypt', target)) {
    signal?.throwIfAborted();
    const access = await keyAccess('reencrypt', session, origin);
    let result: Awaited<ReturnType<typeof retireAndSeal>>;
    try {
      result = await asCallOfEach(target, session, 'reencrypt', options, async () => retireAndSeal(access));
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      held.push(access.sessionId);
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
  /** Destroys the old keys, unless one of them sealed meanwhile: then that is sealed anew, and `true` for another round. */
  const finish = async (session: Session, old: readonly OldKey[]): Promise<boolean> => {
    const access = await keyAccess('reencrypt', session, origin);
    const dids = new Set(old.map(({ did }) => did));
    const { entries } = await sealAnew(access, (header) => header?.d !== undefined && dids.has(header.d));
    report.entries += entries;
    if (entries > 0) return true;
    try {
      for (const { store, did } of old) {
        await store.destroy(access.sessionId, did);
        destroyed.push(did);
      }
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      held.push(access.sessionId);
    }
    for (const { did } of old) access.sealer.forget(access.sessionId, did);
    return false;
  };
  // Until a round finds nothing that an old key sealed meanwhile: its records have then been gone for a whole `grace`,
  // so that no read under way still needs a key that is destroyed.
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
  return { ...report, destroyed, held };
}

/** Ends the use of the session's data keys for new records, and seals those that there are anew. */
async function retireAndSeal(
  access: KeyAccess,
): Promise<{ readonly old: readonly OldKey[]; readonly entries: number; readonly shredded: number }> {
  const old = await retire(access);
  access.sealer.forget(access.sessionId);
  return { old, ...(await sealAnew(access, () => true)) };
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
      const next = await wrapAnew(record, scope.ring, scope.context.hash, true);
      // Another process wrapped it again: that data key may still seal, so this run must not destroy this one.
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
  // What becomes of a record, by its JSON. Kept over attempts: in a busy session the next one has to be quick to win. With
  // keys in a DEK store it leaves what was appended meanwhile to the next round, because a new data key is written there
  // first; inline keys have no next round.
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
