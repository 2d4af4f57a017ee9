import { codeUnits, FOLDED, MAY_FOLD } from './code-units.ts';
import { viewBuilder, type TextView, type ViewBuilder } from './view-builder.ts';
import { latePattern } from './late.ts';

const DASH = latePattern(String.raw`^\p{Pd}$|^\u2212$`, 'u');
const SPACE = latePattern(String.raw`^\p{Zs}$`, 'u');

/** Invisible characters: soft hyphen, joiners, direction marks, variation selectors, byte order mark. */
const INVISIBLE = latePattern(String.raw`^\p{Default_Ignorable_Code_Point}$`, 'u');

const DIGIT = latePattern(String.raw`^\p{Nd}$`, 'u');

/** A sign that is no letter and no digit, though its compatibility form has some: `①`, `²`, `№`, `™`, `Ⅳ`. */
const SIGN = latePattern(String.raw`^[\p{So}\p{No}\p{Nl}ºª]$`, 'u');
const LETTER_OR_DIGIT = latePattern(String.raw`[\p{L}\p{Nd}]`, 'u');

const COMPOSING = latePattern(
  String.raw`[\u0300-\u0337\u0339-\u0345\u0653-\u0655\u093c\u1161-\u1175\u11a8-\u11c2\u3099\u309a]`,
  'u',
);

const FOLDS = new Map<string, string>();
const MOST_FOLDED = 20_000;
/**
 * A character for a whole phrase (U+FDFA: 18 characters) is not folded, or a view could be many times as long as
 * its text.
 */
const LONGEST_FOLDED = 4;

/** The view with nothing changed. */
export function plainView(text: string): TextView {
  return { text, original: (start, end) => [start, end] };
}

/** The view of a text with variants of characters folded: {@link foldView} of the text itself. */
export function foldedView(text: string): TextView {
  return foldView(plainView(text));
}

/**
 * The view with variants of characters folded: compatibility forms (full-width, mathematical, but for signs with a
 * digit such as `①` and `²`), decimal digits of all scripts, dashes and spaces, letters with their marks composed, invisible characters omitted. Folding is done
 * character by character, so that every range of the view maps to a range of the original; only the original is edited.
 */
export function foldView(view: TextView): TextView {
  const original = view.text;
  const units = codeUnits();
  let builder: ViewBuilder | undefined;
  // The last piece, as long as a mark can follow that composes with it.
  let last: { readonly start: number; readonly end: number; readonly text: string } | undefined;
  const add = (): void => {
    if (last !== undefined) (builder ??= viewBuilder(view)).replace(last.start, last.end, last.text);
  };
  const replace = (start: number, end: number, text: string): void => {
    add();
    last = { start, end, text };
  };
  for (let index = 0; index < original.length; index++) {
    const unit = original.charCodeAt(index);
    const known = units[unit] as number;
    if ((known & (MAY_FOLD | FOLDED)) === 0) continue;
    const code = original.codePointAt(index) as number;
    const character = String.fromCodePoint(code);
    const folded = fold(character, code);
    if (composes(folded) && index > 0) {
      const base = last?.end === index ? last : { start: index - 1, text: original.charAt(index - 1) };
      const composed = (base.text + folded).normalize('NFC');
      if (composed.length <= base.text.length) {
        if (base === last) last = { ...last, end: index + 1, text: composed };
        else replace(base.start, index + 1, composed);
        continue;
      }
    }
    if (folded !== character) {
      replace(index, index + character.length, folded);
      if (character.length === 1 && folded.length === 1 && folded < '\x80') {
        units[unit] = (units[folded.charCodeAt(0)] as number) | FOLDED;
      }
    } else if (!isSurrogate(unit) && !composes(character)) units[unit] = known & ~MAY_FOLD;
    index += character.length - 1;
  }
  add();
  return builder?.build() ?? view;
}

/**
 * Whether it is a mark that a letter before it composes with (Unicode, 3.11), a vowel or a last consonant of Hangul
 * among them. Not the vowels of Indian scripts, which are in most of their words and hardly ever decomposed, and not the
 * stroke that makes another sign of `=` (U+0338).
 */
function composes(character: string): boolean {
  if (character < '\u0300' || character > '\u309a' || character.length !== 1) return false;
  return COMPOSING().test(character);
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

function fold(character: string, code: number): string {
  const known = FOLDS.get(character);
  if (known !== undefined) return known;
  const folded = foldOne(character, code);
  if (FOLDS.size < MOST_FOLDED) FOLDS.set(character, folded);
  return folded;
}

function foldOne(character: string, code: number): string {
  if (INVISIBLE().test(character)) return '';
  if (DIGIT().test(character)) return String(valueOfDigit(code));
  const normal = character.normalize('NFKC');
  if (normal.length > LONGEST_FOLDED) return character;
  if (SIGN().test(character) && LETTER_OR_DIGIT().test(normal)) return signOf(character, normal);
  if (DASH().test(normal)) return '-';
  return SPACE().test(normal) ? ' ' : normal;
}

/** A sign stays a sign: a password can have one. Those of telephones are a label. */
function signOf(character: string, normal: string): string {
  return character === '℡' || character === '℻' ? `${normal} ` : character;
}

/** The ten digits of a script stand in a row, from zero on (Unicode, 4.6); rows of some scripts touch. */
function valueOfDigit(code: number): number {
  let zero = code;
  while (DIGIT().test(String.fromCodePoint(zero - 1))) zero--;
  return (code - zero) % 10;
}
