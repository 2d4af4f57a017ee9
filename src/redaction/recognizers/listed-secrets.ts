import { afterScheme, areCredentials, parametersAt } from './credentials.ts';
import { looksRandom } from './randomness.ts';
import { secretKindOfKey } from './secret-names.ts';

const SHORTEST = 16;
const FEWEST_DIGITS = /(?:\d\D*){4}/;

/**
 * Whether a text that follows a name in a list is a token of that name: credentials after a scheme in a header of that name,
 * or random characters. Names of fields and columns, which follow each other in lists, have few digits.
 */
export function isListedSecret(name: string, value: string): boolean {
  if (secretKindOfKey(name) !== 'token') return false;
  const text = value.trim();
  const schemed = afterScheme(text, 0);
  if (schemed !== undefined && areCredentials(name, text.slice(schemed))) return true;
  if (parametersAt(name, text, 0) !== undefined) return true;
  const token = text.slice(schemed ?? 0);
  return !/\s/.test(token) && FEWEST_DIGITS.test(token) && looksRandom(token, SHORTEST);
}
