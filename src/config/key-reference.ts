import { readFileSync } from 'node:fs';
import type { JWK } from 'jose';
import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import { checkOptions, invalidOption, isObject } from '../options.ts';

/**
 * Where a key is: the name of an environment variable, or a file, that holds the key as a JWK in JSON; or the key
 * of a key service. A configuration contains no key itself. A relative path is relative to the working directory:
 * `new URL('key.json', import.meta.url)` is beside the configuration, wherever the process was started.
 */
export type KeyReference = { readonly env: string } | { readonly file: string | URL } | KeyProvider;

/**
 * Loads the key that a reference names, at once: for a keyring a tenant, for example, that `layers` makes itself.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`, with the name of the variable or file and nothing of its
 * content.
 * @example
 * ```ts
 * import { keyring } from 'strongroom';
 * import { loadKey } from 'strongroom/config';
 *
 * export const ringOf = (tenant: string) => keyring({ current: loadKey({ env: `STRONGROOM_KEY_${tenant}` }) });
 * ```
 */
export function loadKey(reference: KeyReference): JWK | KeyProvider {
  return loadKeyAt('loadKey', 'reference', reference);
}

/** @param option The name of the option that holds the reference, for messages. */
export function loadKeyAt(where: string, option: string, reference: KeyReference): JWK | KeyProvider {
  const given: unknown = reference;
  if (typeof given !== 'object' || given === null) {
    return invalidOption(where, option, RULE, given);
  }
  if ('wrap' in given && 'unwrap' in given) return given as KeyProvider;
  if ('kty' in given || 'k' in given) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: ${option} is a key. Put the key into a file or an environment variable, and name that here.`,
    );
  }
  if ('env' in given) {
    checkOptions(`${where}: ${option}`, given, ['env']);
    const name = given.env;
    if (typeof name !== 'string' || name === '')
      return invalidOption(where, `${option}.env`, 'the name of a variable', name);
    const text = process.env[name];
    if (text === undefined || text === '') {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `${where}: ${option} names the environment variable ${JSON.stringify(name)}, which is not set. Set it to the key as a JWK.`,
      );
    }
    return parseKey(where, `the environment variable ${JSON.stringify(name)}`, text);
  }
  if ('file' in given) {
    checkOptions(`${where}: ${option}`, given, ['file']);
    const { file } = given as { readonly file: unknown };
    if (!(file instanceof URL) && (typeof file !== 'string' || file === ''))
      return invalidOption(where, `${option}.file`, 'a path or a file URL', file);
    return parseKey(where, `the file ${JSON.stringify(String(file))}`, readKeyFile(where, file));
  }
  return invalidOption(where, option, RULE, given);
}

const RULE = '{ env: name }, { file: path } or a key of a key service';

function readKeyFile(where: string, file: string | URL): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: the key file ${JSON.stringify(String(file))} cannot be read. Correct the path, or make one with "strongroom keygen".`,
      { cause },
    );
  }
}

/** An error of `JSON.parse` quotes the text, so it is not the cause. */
function parseKey(where: string, place: string, text: string): JWK {
  let key: unknown;
  try {
    key = JSON.parse(text);
  } catch {
    key = undefined;
  }
  if (isObject(key)) return key;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: ${place} does not hold a JWK in JSON. Make a key with "strongroom keygen".`,
  );
}
