import { checkAhead, clockOf, parseMaxAhead, type ReadReference } from '../clock.ts';
import { ancestorsOf } from '../derived-id.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import type { DekRecord, DekStore } from '../keys/dek-store.ts';
import type { CallOrigin } from '../layer.ts';
import { parseDuration, type Duration } from '../options.ts';
import { checkCall } from '../protocol/call-origin.ts';
import { mayShare } from '../protocol/record-origin.ts';
import { REFERENCE } from '../session-contract.ts';
import { asCall } from './as-call.ts';
import { isKey } from './erasure/tombstones.ts';
import { keyPlacesOf, type KeyTarget } from './key-places.ts';

/** Options of {@link purgeDataKeys}. */
export interface PurgeDataKeysOptions extends CallOrigin {
  /** Data keys of at least this age are destroyed. */
  readonly after: Duration;
  /** Unix milliseconds. @defaultValue `Date.now` */
  readonly clock?: () => number;
  /**
   * How far the clock may be ahead of that of the database with the data keys; farther is `ERR_CLOCK`, because a wrong clock
   * would destroy keys that are still needed. `'any'` trusts the clock. Data keys in SQLite, PGlite, in memory or in sessions have no
   * other clock to compare with. @defaultValue `'5m'`
   */
  readonly maxAhead?: Duration | 'any';
  /** Ends the run between two data keys. */
  readonly signal?: AbortSignal;
}

/** The result of {@link purgeDataKeys}. */
export interface PurgeDataKeysReport {
  /** The data keys that were destroyed. */
  readonly destroyed: readonly { readonly sessionId: string; readonly did: string; readonly kid: string }[];
  /** Sessions that a hold protects: a hold on a branch also protects those that it can share records with. */
  readonly held: readonly string[];
}

/**
 * Epoch keys: enforces a retention period by destroying the data keys of its last day, on any inner session and in every
 * copy of the items. A session gets a new data key each `dataKeys.maxAge` (a day by default), so all entries under
 * one key disappear together: no entry lives longer than `after`, and the last entries of a key live up to `maxAge`
 * less. The age is that of the key: `reencrypt()` seals entries under new keys, whose time begins then, so that entries
 * from before it live up to `after` longer; `expire()` judges by the entries. Entries under `inline` data keys are not
 * reached. A session keeps its data keys while a hold on it is open, or one on a branch of the same conversation, which
 * may share its records. Of a DEK store alone only its own holds are known: see {@link hold}.
 *
 * @param target A DEK store; a store (its table of data keys); or a wrapped store or session, whose `encrypt()`
 * also drops the keys at once. Other processes drop them after `dataKeys.cacheFor`.
 * @throws `ERR_INVALID_OPTION`, `ERR_CLOCK` (see {@link PurgeDataKeysOptions.maxAhead}), `ERR_STORE`,
 * `ERR_UNSUPPORTED` when all data keys are inline.
 * @example
 * ```ts
 * import { purgeDataKeys, sqliteDekStore } from 'strongroom/keys';
 *
 * await using dekStore = sqliteDekStore(':memory:');
 * await purgeDataKeys(dekStore, { after: '30d' });
 * ```
 */
export async function purgeDataKeys(
  target: KeyTarget,
  options: PurgeDataKeysOptions,
): Promise<PurgeDataKeysReport> {
  return asCall(target, 'purgeDataKeys', options, async () => purge(target, options));
}

async function purge(target: KeyTarget, options: PurgeDataKeysOptions): Promise<PurgeDataKeysReport> {
  checkCall('purgeDataKeys', options, ['after', 'clock', 'maxAhead', 'signal']);
  const { signal } = options;
  const now = clockOf('purgeDataKeys', options.clock)();
  const before = now - parseDuration('purgeDataKeys', 'after', options.after);
  const maxAhead = parseMaxAhead('purgeDataKeys', options.maxAhead);
  const places = await keyPlacesOf('purgeDataKeys', target);
  if (places.stores.length === 0) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      'purgeDataKeys: the data keys of this target are stored inline in its records, where they cannot be destroyed. Use ' +
        'purgeExpired(), or a DEK store.',
    );
  }
  for (const store of places.stores) {
    const read = (store as { readonly [REFERENCE]?: ReadReference })[REFERENCE];
    await checkAhead('purgeDataKeys', now, read, maxAhead, options.clock !== undefined);
  }
  const filter = places.sessionId === undefined ? {} : { sessionId: places.sessionId };
  const old: { readonly store: DekStore; readonly record: DekRecord }[] = [];
  for (const store of places.stores) {
    for await (const record of store.list(filter))
      if (isKey(record) && record.createdAt <= before) old.push({ store, record });
  }
  const destroyed: { sessionId: string; did: string; kid: string }[] = [];
  const held = new Set<string>();
  for (const { store, record } of old) {
    const { sessionId, did, kid } = record;
    signal?.throwIfAborted();
    if (held.has(sessionId)) continue;
    // The store that has the key sees the holds on its session, in the transaction that destroys it.
    if (await isHeldElsewhere(places.stores, sessionId)) {
      held.add(sessionId);
      continue;
    }
    try {
      await store.destroy(sessionId, did);
      places.forget(sessionId, did);
      destroyed.push({ sessionId, did, kid });
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      held.add(sessionId);
    }
  }
  return { destroyed, held: [...held] };
}

/** Whether a hold in any of the stores protects the data keys of a session: one on it, or on a branch that can have records of it. */
async function isHeldElsewhere(stores: readonly DekStore[], sessionId: string): Promise<boolean> {
  const covered = [sessionId, ...ancestorsOf(sessionId)];
  for (const store of stores) {
    const open = (await store.holds?.list({ open: true })) ?? [];
    if (open.some((hold) => covered.includes(hold.sessionId) || mayShare(hold.sessionId, sessionId)))
      return true;
  }
  return false;
}
