import type { Range } from './outputs.ts';

/**
 * Clues: features of a text that one scan detects, each a necessary condition for finds of some kind. A recognizer
 * states its clues, and is called for a text only when the text has one of them. A text that contains a find must
 * have the clue, at any position of the find.
 */
export const CLUE = {
  /** `@` */
  at: 0x1,
  /** Six digits, at most three of the separators of numbers between two. */
  sixDigits: 0x2,
  nineDigits: 0x4,
  twelveDigits: 0x8,
  /** `1.2.3.4`: digits separated by three full stops. */
  fourParts: 0x10,
  /** `::`, or six colons with hexadecimal groups between them. */
  colons: 0x20,
  /** Two letters at the beginning of a word, after "IBAN" or after an escape, and two digits. */
  countryCode: 0x40,
  /** `:a1:b2:`, `-a1-b2-`, `a1b2.c3d4.e5f6` */
  groups: 0x80,
  /** Characters of keys in a row, see {@link hasLongRun}. */
  run14: 0x100,
  run15: 0x200,
  run16: 0x400,
  /** The beginning of a JSON web token in a run that a full stop follows. */
  tokenHeader: 0x800,
  /** `-----B` */
  pem: 0x1000,
  /** `://` */
  scheme: 0x2000,
  /** The name of a secret, and a character that distinguishes a secret from words. */
  secretName: 0x4000,
  /** The word cookie, and `=`. */
  cookie: 0x8000,
  /** The beginning of an option or a statement with a password. */
  command: 0x10000,
  /** The beginning of an escape, see {@link unescapedViews}. */
  escape: 0x20000,
  /** A backslash: a JSON text with one has other characters than its source shows. */
  backslash: 0x40000,
  /** `~` */
  tilde: 0x80000,
  /** Not in the text: the key above it names a secret, for any text. */
  key: 0x100000,
  /** Not in the text: for recognizers without clues. */
  always: 0x200000,
  /** A line break or a tab as an escape: a value may begin behind it, whose clues are seen in the text itself. */
  layout: 0x400000,
} as const;

/** A number with the separators in it, from its first digit to its last. */
export interface NumberRange extends Range {
  /** The bits of {@link CLUE} that it shows by itself: how many digits it has, and three full stops. */
  readonly shows: number;
}

/** The clues of a text. Positions that are `undefined` are not known: the whole text has to be searched. */
export interface Clues {
  /** Bits of {@link CLUE}. */
  readonly seen: number;
  /** Whether there may be a name of a secret beyond ASCII. */
  readonly hasForeignName: boolean;
  /** Where names of secrets and schemes of credentials begin, in order. */
  readonly names: readonly number[] | undefined;
  /** The numbers that have six digits or three full stops, in order. */
  readonly numbers: readonly NumberRange[] | undefined;
  /** Where prefixes of API keys begin, in order. */
  readonly keyPrefixes: readonly number[] | undefined;
  /** Where country codes begin, in order. */
  readonly countryCodes: readonly number[] | undefined;
}

/** All clues: for a text that was not scanned. */
export const UNKNOWN: Clues = {
  seen: -1,
  hasForeignName: true,
  names: undefined,
  numbers: undefined,
  keyPrefixes: undefined,
  countryCodes: undefined,
};
