import { withAsciiBytes, withCopy, type TextBytes } from './ascii-bytes.ts';
import type { MaybePromise } from '../layer.ts';
import { isThenable } from '../maybe-promise.ts';
import { CLUE, type Clues } from './clues.ts';
import { mayBeJson } from './json-text.ts';
import { isValueKey } from './named-values.ts';
import { overlapsOne } from './outputs.ts';
import type { RedactionSettings } from './options.ts';
import { cluesIn } from './read-clues.ts';
import type { TextContext } from './recognizer.ts';
import { isCookieKey } from './recognizers/cookies.ts';
import { isSecretKey } from './recognizers/secret-names.ts';
import { foldedView, plainView } from './text-view.ts';
import type { TextView } from './view-builder.ts';

/** A text as recognizers get it, and its clues. */
export interface Look {
  readonly view: TextView;
  readonly clues: Clues;
  /** Whether the view is the text itself. */
  readonly isAscii?: true;
}

/** Clues that stand at {@link Clues.numbers}. */
const IN_NUMBERS = CLUE.sixDigits | CLUE.nineDigits | CLUE.twelveDigits | CLUE.fourParts;

/** Folds the text when that changes anything. */
export function lookAt(text: string): Look {
  return lookBeyond(text, withAsciiBytes(text, cluesOfAscii));
}

/** Clues of such a text are all in its bytes: its folded view is not asked for. */
function cluesOfAscii(source: TextBytes): Clues {
  return cluesIn(source, noView);
}

const noView = (): string => '';

/** @param shown The clues of a text that is ASCII. */
function lookBeyond(text: string, shown: Clues | undefined): Look {
  if (shown !== undefined) return { view: plainView(text), clues: shown, isAscii: true };
  let view: TextView | undefined;
  const fold = (): TextView => (view ??= foldedView(text));
  const clues = withCopy(text, (source) => {
    if (source.mayFold) return undefined;
    if (!source.isFolded) view = plainView(text);
    return cluesIn(source, () => fold().text);
  });
  if (clues === undefined) return lookAtView(fold());
  return {
    // Most texts have no clues, and their view is never made.
    get view(): TextView {
      return fold();
    },
    clues,
  };
}

/** The same of a text that is folded already. */
export function lookAtView(view: TextView): Look {
  return { view, clues: withCopy(view.text, (source) => cluesIn(source, () => view.text)) };
}

/** Scans the text of a field, or of a literal in it. */
export interface Inspect {
  /** `undefined` when it can contain no find. */
  readonly look: (
    text: string,
    at: { readonly key?: string | undefined; readonly strictJson?: true },
  ) => Look | undefined;
  /**
   * Whether a literal of JSON text can contain no find, by the scan of the whole text: all clues of the text are
   * numbers in other places. A long text beside a long number, as in many arguments of tools, is not scanned again.
   */
  readonly isClean: (
    whole: Look | undefined,
    literal: { readonly start: number; readonly end: number; readonly key?: string | undefined },
  ) => boolean;
  /**
   * Whether a number that was looked at is no find, as an id is none. It is searched at once then, which takes less than
   * what the search of a text needs beside it.
   */
  readonly isCleanNumber: (
    text: string,
    at: { readonly key?: string | undefined; readonly parentKey?: string | undefined },
    look: Look,
  ) => boolean;
}

/**
 * A text is clean when it has none of the clues of the recognizers in use, and no key in or above it names a
 * secret. Then every part of the text is clean, too: the literals of JSON text without a backslash are parts of it,
 * so the text is not parsed. No text is clean when a recognizer has no clues, or when every text has to be
 * processed.
 *
 * @param search What the recognizers find.
 */
export function createInspect(
  settings: RedactionSettings,
  search: (text: string, context: TextContext, look: Look) => MaybePromise<readonly unknown[]>,
): Inspect {
  const { transform, decode, clues } = settings;
  if (transform !== undefined || decode.has('base64') || (clues & CLUE.always) !== 0) {
    return { look: lookAt, isClean: () => false, isCleanNumber: () => false };
  }
  // Long Base64 is always reported.
  const telling = clues | CLUE.run16 | (decode.has('percent') ? CLUE.escape : 0);
  const elsewhere = (telling & ~IN_NUMBERS) | CLUE.backslash;
  return {
    look(text, { key, strictJson }) {
      if (text === '') return undefined;
      const shown = withAsciiBytes(text, cluesOfAscii);
      const look = shown === undefined ? lookBeyond(text, shown) : undefined;
      const { seen } = shown ?? (look as Look).clues;
      const isTelling =
        (seen & telling) !== 0 ||
        tellsSecret(key) ||
        (mayBeJson(text, strictJson === true) && ((seen & CLUE.backslash) !== 0 || hasTellingKey(text)));
      // Of most texts nothing but the clues is made.
      return isTelling ? (look ?? lookBeyond(text, shown)) : undefined;
    },
    isClean(whole, { start, end, key }) {
      if (whole?.isAscii !== true || (whole.clues.seen & elsewhere) !== 0 || tellsSecret(key)) return false;
      return whole.clues.numbers !== undefined && !overlapsOne(whole.clues.numbers, { start, end });
    },
    isCleanNumber(text, { key, parentKey }, look) {
      const found = search(text, { itemType: '', path: '', key, parentKey }, look);
      return !isThenable(found) && found.length === 0;
    },
  };
}

/** Whether a text under this key can be a find by its key alone. */
export function tellsSecret(key: string | undefined): boolean {
  return key !== undefined && (isSecretKey(key) || isCookieKey(key));
}

/** Whether a member of JSON text without a backslash is a secret by its key, or named by another member. */
function hasTellingKey(text: string): boolean {
  for (let quote = text.indexOf('"'); quote !== -1;) {
    const end = text.indexOf('"', quote + 1);
    if (end === -1) return false;
    if (isFollowedByColon(text, end + 1)) {
      const key = text.slice(quote + 1, end);
      if (isValueKey(key) || tellsSecret(key)) return true;
    }
    quote = text.indexOf('"', end + 1);
  }
  return false;
}

function isFollowedByColon(text: string, from: number): boolean {
  let place = from;
  while (place < text.length && text.charCodeAt(place) <= 0x20) place++;
  return text.charCodeAt(place) === 0x3a;
}
