import { StrongroomError } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { CallOrigin } from '../layer.ts';
import { checkCall } from '../protocol/call-origin.ts';
import { asCallOfAll } from './as-call.ts';
import { placesOfAll, wrappedKeysOf, type KeyTarget } from './key-places.ts';

/**
 * Destroys a key-encryption key in a keyring, unless a stored data key still needs it. Destroy the key at its
 * source, too.
 *
 * @param options.dekStores All stores of data keys that the keyring wrapped, at least one; see {@link checkKeys}
 * for what is checked. Pass the wrapped store where records can contain data keys.
 * @throws `ERR_CONFLICT` with how many data keys need the key; `ERR_INVALID_OPTION` for the current key, and for
 * invalid targets.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring, wrapStore } from 'strongroom';
 * import { destroyKey, rewrap } from 'strongroom/keys';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const old = await generateKey();
 * const keys = keyring({ current: await generateKey(), previous: [old] });
 * const sessions = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
 * await rewrap(sessions);
 * await destroyKey(keys, old.kid ?? '', { dekStores: sessions });
 * ```
 */
export async function destroyKey(
  keys: Keyring,
  kid: string,
  options: { readonly dekStores: KeyTarget | readonly KeyTarget[] } & CallOrigin,
): Promise<void> {
  const targets = (options as Partial<typeof options> | undefined)?.dekStores;
  return asCallOfAll(targets, 'destroyKey', options, async () => destroyUnused(keys, kid, options));
}

async function destroyUnused(
  keys: Keyring,
  kid: string,
  options: { readonly dekStores: KeyTarget | readonly KeyTarget[] } & CallOrigin,
): Promise<void> {
  checkCall('destroyKey', options, ['dekStores']);
  let needed = 0;
  for (const places of await placesOfAll('destroyKey', options.dekStores)) {
    for await (const _ of wrappedKeysOf('destroyKey', places, kid)) needed++;
  }
  if (needed > 0) {
    throw new StrongroomError(
      'ERR_CONFLICT',
      `destroyKey: ${needed} data keys are still wrapped by the key ${JSON.stringify(kid)}. Run rewrap() first, ` +
        'over a dekStore of your own with its keys, too: it can have data keys of sessions that are gone. Or purge them.',
    );
  }
  keys.destroy(kid);
}
