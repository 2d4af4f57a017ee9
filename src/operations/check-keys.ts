import { defined } from '../defined.ts';
import { isStrongroomError, type ErrorCode } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { CallOrigin } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkCall } from '../protocol/call-origin.ts';
import { asCallOfAll } from './as-call.ts';
import { placesOfAll, wrappedKeysOf, type KeyTarget } from './key-places.ts';

/** The result of {@link checkKeys} for one key-encryption key that stored data keys name. */
export interface KeyUse {
  readonly kid: string;
  /** Live data keys that it wraps. */
  readonly dataKeys: number;
  /** Sessions that they belong to. */
  readonly sessions: number;
  /** Why the keyring cannot open them; absent when it can. */
  readonly problem?: ErrorCode;
}

/** Options of {@link checkKeys}. */
export interface CheckKeysOptions extends CallOrigin {
  readonly keys: Keyring;
  /** Ends the run between two data keys. */
  readonly signal?: AbortSignal;
}

/**
 * Which stored data keys a keyring can still open: run it before a key leaves the configuration, and at the start of a
 * deployment. Nothing is unwrapped, so it needs no KMS.
 *
 * @param targets Where data keys are stored, one target or several. A DEK store, or a store: its table. A wrapped
 * store or session: its table, the `dekStore` of its `encrypt()`, and all its records, because they can contain
 * data keys (`inline`).
 * @throws `ERR_INVALID_OPTION` for another target, or for none; `ERR_STORE`.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring, wrapStore } from 'strongroom';
 * import { checkKeys } from 'strongroom/keys';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sessions = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
 * const problems = (await checkKeys(sessions, { keys })).filter(({ problem }) => problem !== undefined);
 * ```
 */
export async function checkKeys(
  targets: KeyTarget | readonly KeyTarget[],
  options: CheckKeysOptions,
): Promise<readonly KeyUse[]> {
  return asCallOfAll(targets, 'checkKeys', options, async () => usesOf(targets, options));
}

async function usesOf(
  targets: KeyTarget | readonly KeyTarget[],
  options: CheckKeysOptions,
): Promise<readonly KeyUse[]> {
  checkCall('checkKeys', options, ['keys', 'signal']);
  if (typeof options.keys?.checkOpens !== 'function')
    invalidOption('checkKeys', 'keys', 'a keyring', options.keys);
  const uses = new Map<string, { dataKeys: number; sessions: Set<string> }>();
  for (const places of await placesOfAll('checkKeys', targets)) {
    for await (const { kid, sessionId } of wrappedKeysOf('checkKeys', places)) {
      options.signal?.throwIfAborted();
      let use = uses.get(kid);
      if (use === undefined) uses.set(kid, (use = { dataKeys: 0, sessions: new Set() }));
      use.dataKeys++;
      use.sessions.add(sessionId);
    }
  }
  return [...uses].map(([kid, { dataKeys, sessions }]) => {
    const problem = problemOf(options.keys, kid);
    return defined({ kid, dataKeys, sessions: sessions.size, problem });
  });
}

/** Why nobody can open what this key wrapped with this keyring; `undefined` when it opens. */
export function problemOf(ring: Keyring, kid: string): ErrorCode | undefined {
  try {
    ring.checkOpens(kid);
    return undefined;
  } catch (error) {
    if (isStrongroomError(error)) return error.code;
    throw error;
  }
}
