import { LETTER } from './late.ts';
import { isCookieKey } from './recognizers/cookies.ts';
import { isListedSecret } from './recognizers/listed-secrets.ts';
import { isSecretKey, secretKindOfKey } from './recognizers/secret-names.ts';

const LONGEST_NAME = 64;

/**
 * The name of an element in the one before it: `["Authorization", "Basic …", "Accept", "*"]`. In a list of names one is
 * followed by another, so the value has to look like a secret of that name.
 *
 * @param index Of the element; names have even ones.
 * @param above The key of the list: one that names a secret stays the key of each element.
 */
export function nameBefore(
  name: unknown,
  value: unknown,
  index: number,
  above: string | undefined,
): string | undefined {
  if (index % 2 === 0 || !isName(name, above) || typeof value !== 'string') return undefined;
  if (isCookieKey(name)) return value.includes('=') ? name : undefined;
  return isListedSecret(name, value) ? name : undefined;
}

/**
 * The name of the second of two elements in a list of such pairs: `[["phone", "4155552671"], ["ssn", "078-05-1120"]]`. A
 * password has a letter and a digit there, because pairs of names exist, too.
 */
export function nameOfEntry(name: unknown, value: unknown, above: string | undefined): string | undefined {
  if (!isName(name, above)) return undefined;
  const isPassword = secretKindOfKey(name) === 'password';
  return isPassword && !/^(?=.*\d)(?=.*\p{L}).{6,}$/su.test(String(value)) ? undefined : name;
}

/** The name that the element of a list of values beyond the protocol has by the element before it. */
export function nameInList(
  list: readonly unknown[],
  index: number,
  isInList: boolean,
  above: string | undefined,
): string | undefined {
  if (index === 0) return undefined;
  const value = list[index];
  const isEntry = isInList && list.length === 2 && (typeof value === 'string' || typeof value === 'number');
  return (
    nameBefore(list[index - 1], value, index, above) ??
    (isEntry ? nameOfEntry(list[0], value, above) : undefined)
  );
}

function isName(name: unknown, above: string | undefined): name is string {
  if (typeof name !== 'string' || name.length > LONGEST_NAME || !LETTER().test(name)) return false;
  return above === undefined || !(isSecretKey(above) || isCookieKey(above));
}
