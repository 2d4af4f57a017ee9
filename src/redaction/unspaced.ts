import { latePattern } from './late.ts';

/** Written without spaces, or with endings that follow a word directly. */
const SCRIPTS = 'Han Hiragana Katakana Hangul Thai Lao Khmer Myanmar Tibetan'.split(' ');
/**
 * Letters that some scripts share, such as `ー` in `ユーザー`, have them as Script_Extensions only (UAX #24, 5.1): by
 * Script they are `Common`. Punctuation has Script_Extensions, too.
 */
const LETTER = String.raw`(?=[\p{L}\p{M}])[${SCRIPTS.map((script) => String.raw`\p{Script_Extensions=${script}}`).join('')}]`;

/** A letter or a mark of a script that is written without spaces: a value may touch it. */
export const UNSPACED_LETTER: () => RegExp = latePattern(LETTER, 'u');
/** The same at the end of a text. */
export const ENDS_UNSPACED: () => RegExp = latePattern(`${LETTER}$`, 'u');
