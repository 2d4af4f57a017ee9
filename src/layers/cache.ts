import type { SessionLayer } from '../layer.ts';
import { withParts } from '../protocol/sealed-record.ts';
import { createActivities } from './cache/activities.ts';
import { createLayersBelow } from './cache/layers-below.ts';
import { createLists } from './cache/lists.ts';
import { createLoad } from './cache/loading.ts';
import { createMutation } from './cache/mutation.ts';
import { checkCacheOptions, type CacheOptions } from './cache/options.ts';

export type { CacheOptions } from './cache/options.ts';

/**
 * Keeps opened histories in memory, so that a warm read costs one small read of the inner session and no decryption,
 * whatever the length of the history. One layer serves all sessions of its stacks, under common bounds.
 *
 * - It stands directly above `encrypt()`, below `expire()` and `redact()`: expiry is judged at each read.
 * - A history is dropped before every change, and kept again with the new items only after an acknowledged append
 *   that no other change overlapped. After an error it is read again.
 * - Only a read without a limit fills it. A history that alone exceeds a bound is never kept.
 * - Records that the layers below would no longer open are not returned: at each hit they are checked once for each
 *   data key. A key that was disabled in this process counts at once; one that another process destroyed after
 *   `dataKeys.cacheFor`.
 * - It holds plain text in memory. Sessions that choose their history by the run context are kept for each run apart.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { cache, encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 *
 * const keys = keyring({ current: await generateKey() });
 * const session = wrapSession(new MemorySession(), [cache({ maxItems: 50_000 }), encrypt({ keys })]);
 * ```
 */
export function cache(options: CacheOptions): SessionLayer {
  const settings = checkCacheOptions(options);
  const lists = createLists(settings);
  const activityOf = createActivities();
  const below = createLayersBelow(() => layer, activityOf);
  const layer: SessionLayer = withParts({
    name: 'cache',
    unique: true,
    load: createLoad(settings, lists, activityOf, below),
    mutation: createMutation(settings, lists, activityOf, below),
  });
  return layer;
}
