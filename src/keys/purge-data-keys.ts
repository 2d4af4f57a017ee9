import { isStrongroomError } from '../errors.ts';
import { checkOptions, parseDuration, type Duration } from '../options.ts';
import type { DekRecord, DekStore } from './dek-store.ts';

/** Options of {@link purgeDataKeys}. */
export interface PurgeDataKeysOptions {
  /** Data keys that were made this long ago are destroyed. */
  readonly after: Duration;
  /** Unix milliseconds. @defaultValue `Date.now` */
  readonly clock?: () => number;
  /** Ends the run between two data keys. */
  readonly signal?: AbortSignal;
}

/** What {@link purgeDataKeys} did. */
export interface PurgeDataKeysReport {
  /** The data keys that were destroyed. */
  readonly destroyed: readonly { readonly sessionId: string; readonly did: string; readonly kid: string }[];
  /** Sessions that a hold protects. */
  readonly held: readonly string[];
}

/**
 * Epoch keys: enforces a retention period by destroying the data keys of its last day, on any inner session and in every
 * copy of the items. A session gets a new data key each `dataKeys.maxAge` (a day by default), so what was written under
 * one key disappears together: nothing lives longer than `after`, and the last entries of a key live up to `maxAge`
 * less.
 *
 * @throws `ERR_INVALID_OPTION`, `ERR_STORE`.
 * @example
 * ```ts
 * import { purgeDataKeys, sqliteDekStore } from 'strongroom/keys';
 *
 * await using dekStore = sqliteDekStore(':memory:');
 * await purgeDataKeys(dekStore, { after: '30d' });
 * ```
 */
export async function purgeDataKeys(
  dekStore: DekStore,
  options: PurgeDataKeysOptions,
): Promise<PurgeDataKeysReport> {
  checkOptions('purgeDataKeys', options, ['after', 'clock', 'signal']);
  const { clock = Date.now, signal } = options;
  const before = clock() - parseDuration('purgeDataKeys', 'after', options.after);
  const old: DekRecord[] = [];
  for await (const record of dekStore.list()) if (record.createdAt <= before) old.push(record);
  const destroyed: { sessionId: string; did: string; kid: string }[] = [];
  const held = new Set<string>();
  for (const { sessionId, did, kid } of old) {
    signal?.throwIfAborted();
    if (held.has(sessionId)) continue;
    try {
      await dekStore.destroy(sessionId, did);
      destroyed.push({ sessionId, did, kid });
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      held.add(sessionId);
    }
  }
  return { destroyed, held: [...held] };
}
