import { latePattern } from './late.ts';

/** Written without spaces, or with endings that follow a word directly. */
const UNSPACED = 'Han Hiragana Katakana Hangul Thai Lao Khmer Myanmar Tibetan';

/**
 * A letter or a mark of one of these scripts, as the source of a pattern with the flag `u`. Letters that some scripts
 * share, such as `ー` in `ユーザー`, have them as Script_Extensions only (UAX #24, 5.1): by Script they are `Common`.
 *
 * @param scripts Their names, with spaces between them.
 */
export function lettersOf(scripts: string = UNSPACED): string {
  const members = scripts.split(' ').map((script) => String.raw`\p{Script_Extensions=${script}}`);
  // Punctuation has Script_Extensions, too.
  return String.raw`(?=[\p{L}\p{M}])[${members.join('')}]`;
}

/** A letter of a script that is written without spaces: a value may touch it. */
export const UNSPACED_LETTER: () => RegExp = latePattern(lettersOf(), 'u');
/** The same at the end of a text. */
export const ENDS_UNSPACED: () => RegExp = latePattern(`${lettersOf()}$`, 'u');
