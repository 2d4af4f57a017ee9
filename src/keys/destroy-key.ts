import { StrongroomError } from '../errors.ts';
import { checkOptions } from '../options.ts';
import type { DekStore } from './dek-store.ts';
import type { Keyring } from './keyring.ts';

/**
 * Destroys a key-encryption key in a keyring, unless a stored data key still needs it. Data keys inside envelopes
 * (`inline`) cannot be seen here: run `rewrap` over those sessions first. Destroy the key where it came from, too.
 *
 * @param options.dekStores Every DEK store that the keyring is used with.
 * @throws `ERR_CONFLICT` with how many data keys need the key; `ERR_INVALID_OPTION` for the current key.
 * @example
 * ```ts
 * import { generateKey, keyring } from 'strongroom';
 * import { destroyKey, memoryDekStore } from 'strongroom/keys';
 *
 * const old = await generateKey();
 * const keys = keyring({ current: await generateKey(), previous: [old] });
 * await destroyKey(keys, old.kid ?? '', { dekStores: [memoryDekStore()] });
 * ```
 */
export async function destroyKey(
  keys: Keyring,
  kid: string,
  options: { readonly dekStores: readonly DekStore[] },
): Promise<void> {
  checkOptions('destroyKey', options, ['dekStores']);
  let needed = 0;
  for (const store of options.dekStores) {
    for await (const record of store.list({ kid })) needed += record.kid === kid ? 1 : 0;
  }
  if (needed > 0) {
    throw new StrongroomError(
      'ERR_CONFLICT',
      `destroyKey: ${needed} data keys are still wrapped by the key ${JSON.stringify(kid)}. Run rewrap() first, or ` +
        'purge them.',
    );
  }
  keys.destroy(kid);
}
