import { keyedHash } from './keyed-hash.ts';

/** Sixteen letters for the sixteen values of half a byte: no vowels, so no words; no digits, so no numbers. */
const LETTERS = 'bcdfghjklmnpqrst';
const LETTER_COUNT = 20; // 80 bits: no two values of a session meet by chance

/**
 * A token as we write it, and the variants in which a model writes it: other case, Markdown's backslashes, HTML's
 * entities, without its angle brackets, after the escape of a line break in JSON text. The name of an entity is any that
 * the options accept (`ENTITY_NAME`).
 */
const TOKEN =
  /(?:<|&lt;)?(?:(?<![A-Za-z0-9_\\])|(?<=\\[nrt]))([A-Za-z](?:[A-Za-z0-9]|\\{0,2}_){0,63})\\{0,2}_([bcdfghjklmnpqrst]{20})(?![A-Za-z0-9_])(?:>|&gt;)?/gi;

/** The token of a value: the same for the same key, entity and value in every process. */
export function tokenFor(key: Uint8Array, entityType: string, value: string): string {
  const hash = keyedHash(key, 'strongroom/pseudonym', entityType, value);
  let letters = '';
  for (let index = 0; index < LETTER_COUNT; index++) {
    const byte = hash[index >> 1] as number;
    letters += LETTERS[index % 2 === 0 ? byte >> 4 : byte & 15];
  }
  return `<${entityType}_${letters}>`;
}

/** The patterns of this file, for the linearity check. */
export const TOKEN_PATTERNS: readonly RegExp[] = [TOKEN];

/** The canonical tokens in a text, each once. */
export function tokensIn(text: string): readonly string[] {
  if (text.length < LETTER_COUNT) return [];
  return [...new Set(Array.from(text.matchAll(TOKEN), (match) => canonicalToken(match[1], match[2])))];
}

/** The text with each token replaced by the result of `value`; a token without a value is not changed. */
export function replaceTokens(text: string, value: (token: string) => string | undefined): string {
  if (text.length < LETTER_COUNT) return text;
  return text.replace(TOKEN, (source, entity: string, letters: string) => {
    return value(canonicalToken(entity, letters)) ?? source;
  });
}

function canonicalToken(entity: string | undefined, letters: string | undefined): string {
  return `<${(entity ?? '').replaceAll('\\', '').toUpperCase()}_${(letters ?? '').toLowerCase()}>`;
}
