import type { Span } from './spans.ts';

/** What a terminal does not show, its escape character written in any way (ECMA-48, 5.3 and 5.4). */
const TERMINAL = String.raw`(?:\x1b|\^\[|\\{1,8}(?:e|x1[Bb]|u001[Bb]|u\{1[Bb]\}|033))(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|[ -/]{1,4}[0-Z\\-~])`;
/** The same, or a character as an escape of source. */
const HIDDEN = String.raw`(?:${TERMINAL}|\\{1,8}(?:[nrt]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|[01][0-7]{2}))`;
const BEGINNINGS = '\\^\x1b';
const HIDDEN_HERE = new RegExp(HIDDEN, 'y');
const ENDS_HIDDEN = new RegExp(`(?:${TERMINAL})$`);
/** The last letter of an escape beside a word: `\nversion 10.4.2.1`, `%20order 4155552671`. */
const JOINS_WORD = new RegExp(String.raw`(?:${HIDDEN}|%[0-9A-Fa-f]{2}|=3[Dd])(?=\p{L})`, 'u');
/** A find between these has the same neighbours when escapes are resolved. */
const PLAIN_BEFORE = /[\s:="'(,[{<]/;
const PLAIN_AFTER = new RegExp(
  String.raw`[^%\\&=^\x1b]|$|\\{1,8}[nrt]|%(?:0[9ADad]|20)|${HIDDEN}(?![\w.[])`,
  'y',
);
/** Markdown's underscores are characters of addresses and keys, too. */
const EMPHASIS = /^(_{0,3}).*?(_{0,3})$/su;
/** Longest sequence of a terminal, its escape character written as an escape. */
const LONGEST_HIDDEN = 56;
/** In `C:\new\rid` there are no escapes. */
const DRIVE = /(?<!\w)[A-Za-z]:\\/;
const NO_NUMBER = /[^\d\s+()./-]/;
/** Sequences at the end of a find. */
const MOST_HIDDEN = 8;
const LONGEST_LEAD = 64;

/**
 * The finds of a text and of each level of its escapes, in offsets of the text, without those that an escape of the next
 * level misled: the digits of `\x1b[31m` before an address are read as a part of it, and `\nversion` is no word.
 */
export function withoutMisled(text: string, levels: readonly (readonly Span[])[]): readonly Span[] {
  return levels.reduce((all, resolved) => [...all.filter(believedBy(text, resolved)), ...resolved], []);
}

function believedBy(text: string, resolved: readonly Span[]): (span: Span) => boolean {
  const ranges = new Set(resolved.map(rangeKey));
  const isFound = overlapCheck(resolved);
  return (span) => {
    const { start, end } = trimmed(text, span);
    if (start === span.start && end === span.end) return isFound(span) || !hasJoinedWord(text, span);
    return !ranges.has(rangeKey({ ...span, start, end }));
  };
}

function rangeKey({ entityType, start, end }: Span): string {
  return `${entityType} ${start} ${end}`;
}

/** The range without the part of an escape at its beginning, and without what a terminal does not show at its end, and without emphasis. */
function trimmed(text: string, { start, end }: Span): { readonly start: number; readonly end: number } {
  let last = end;
  for (let count = 0; count < MOST_HIDDEN; count++) {
    const hidden = ENDS_HIDDEN.exec(text.slice(Math.max(start, last - LONGEST_HIDDEN), last));
    if (hidden === null) break;
    last -= hidden[0].length;
  }
  const from = afterHidden(text, start);
  const emphasis = EMPHASIS.exec(text.slice(from, last));
  return { start: from + (emphasis?.[1]?.length ?? 0), end: last - (emphasis?.[2]?.length ?? 0) };
}

/** The end of the escape in which `start` stands, `start` itself outside of one. */
function afterHidden(text: string, start: number): number {
  for (let place = start - 1; place >= 0 && place > start - LONGEST_HIDDEN; place--) {
    if (!BEGINNINGS.includes(text[place] as string)) continue;
    HIDDEN_HERE.lastIndex = place;
    if (HIDDEN_HERE.test(text) && HIDDEN_HERE.lastIndex > start) return HIDDEN_HERE.lastIndex;
  }
  return start;
}

/**
 * Whether a word that may name the find is joined to an escape, and the find itself is not. Only a number is denied by a
 * word; anything else that only the text itself has is cut by an escape: `scheme://us\xA0er:password@host`.
 */
function hasJoinedWord(text: string, { start, end }: Span): boolean {
  if (NO_NUMBER.test(text.slice(start, end))) return false;
  if (start > 0 && !PLAIN_BEFORE.test(text[start - 1] as string)) return false;
  PLAIN_AFTER.lastIndex = end;
  if (!PLAIN_AFTER.test(text)) return false;
  const lead = text.slice(Math.max(0, start - LONGEST_LEAD), start);
  const line = lead.slice(lead.lastIndexOf('\n') + 1);
  return JOINS_WORD.test(line) && !DRIVE.test(line);
}

function overlapCheck(spans: readonly Span[]): (range: Span) => boolean {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  // The furthest end of all spans up to each of them.
  let furthest = 0;
  const ends = sorted.map(({ end }) => (furthest = Math.max(furthest, end)));
  return ({ start, end }) => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] as Span).start < end) low = middle + 1;
      else high = middle;
    }
    return low > 0 && (ends[low - 1] as number) > start;
  };
}
