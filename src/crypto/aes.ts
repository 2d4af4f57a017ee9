import type * as aes from '@noble/ciphers/aes.js';
import { loadModule } from '../load-module.ts';

/** The functions of `@noble/ciphers` that seal. */
export type Aes = Pick<typeof aes, 'ctr' | 'gcm'>;
/** The functions of `@noble/ciphers` that wrap keys. */
export type AesKeyWrap = Pick<typeof aes, 'aeskw' | 'gcm'>;

let loaded: typeof aes | undefined;

/**
 * AES of `@noble/ciphers`, loaded for the first that needs it: its tables took a fifth of the time in which a process loaded
 * strongroom, and runtimes with AES of their own hardly ever need it. Bundles for browsers have `aes-at-once.ts` in place
 * of this file, by `browser` in package.json: there a part that is loaded late costs more than it saves.
 *
 * @throws {@link StrongroomError} `ERR_LOAD`.
 */
export async function loadAes(): Promise<Aes> {
  return load();
}

/** The same to wrap keys. */
export async function loadAesKeyWrap(): Promise<AesKeyWrap> {
  return load();
}

async function load(): Promise<typeof aes> {
  return (loaded ??= await loadModule(
    '@noble/ciphers/aes.js',
    () => import('@noble/ciphers/aes.js'),
    'The package @noble/ciphers is not installed, although strongroom depends on it. Install strongroom anew: npm install strongroom',
  ));
}

/** The same once {@link loadAes} has loaded it. */
export function loadedAes(): Aes {
  if (loaded === undefined)
    throw new Error('AES was used before it was loaded. Report this as a bug of strongroom.');
  return loaded;
}
