import { checkOptions } from '../options.ts';
import { isStrongroomError, type ErrorCode } from '../errors.ts';
import type { DekStore } from './dek-store.ts';
import type { Keyring } from './keyring.ts';

/** What {@link checkKeys} says of one key-encryption key that stored data keys name. */
export interface KeyUse {
  readonly kid: string;
  /** Live data keys that it wraps. */
  readonly dataKeys: number;
  /** Sessions that they belong to. */
  readonly sessions: number;
  /** Why the keyring cannot open them; absent when it can. */
  readonly problem?: ErrorCode;
}

/**
 * Which stored data keys a keyring can still open: run it before a key leaves the configuration, and at the start of a
 * deployment. Nothing is unwrapped, so it needs no KMS.
 *
 * @param dekStores Where data keys live; keys inside envelopes (`inline`) cannot be counted without reading all items.
 * @example
 * ```ts
 * import { generateKey, keyring } from 'strongroom';
 * import { checkKeys, memoryDekStore } from 'strongroom/keys';
 *
 * const keys = keyring({ current: await generateKey() });
 * const problems = (await checkKeys([memoryDekStore()], { keys })).filter(({ problem }) => problem !== undefined);
 * ```
 */
export async function checkKeys(
  dekStores: readonly DekStore[],
  options: { readonly keys: Keyring; readonly signal?: AbortSignal },
): Promise<readonly KeyUse[]> {
  checkOptions('checkKeys', options, ['keys', 'signal']);
  const uses = new Map<string, { dataKeys: number; sessions: Set<string> }>();
  for (const store of dekStores) {
    for await (const { kid, sessionId } of store.list()) {
      options.signal?.throwIfAborted();
      let use = uses.get(kid);
      if (use === undefined) uses.set(kid, (use = { dataKeys: 0, sessions: new Set() }));
      use.dataKeys++;
      use.sessions.add(sessionId);
    }
  }
  return [...uses].map(([kid, { dataKeys, sessions }]) => {
    const problem = problemOf(options.keys, kid);
    return { kid, dataKeys, sessions: sessions.size, ...(problem !== undefined && { problem }) };
  });
}

function problemOf(ring: Keyring, kid: string): ErrorCode | undefined {
  try {
    ring.checkOpens(kid);
    return undefined;
  } catch (error) {
    if (isStrongroomError(error)) return error.code;
    throw error;
  }
}
