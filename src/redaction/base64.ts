import { latePattern } from './late.ts';

const READABLE = latePattern(String.raw`^[^\p{Cc}\p{Cn}\p{Co}]*$`, 'u');

const SHORTEST = 12;
/** A run of the characters of both alphabets. What stands before it is none of them: `=` assigns, or ends another one. */
const RUN = /[A-Za-z0-9+/_-]{12}[A-Za-z0-9+/_-]*={0,2}/g;
/** Characters of the alphabets that also separate: segments of a path, the words of a name and an id. */
const SEPARATORS = /[+/_-]/g;
/** An encoded text has the characters of one alphabet: those of the other one separate. */
const SEPARATIONS: readonly RegExp[] = [/[+/]/g, /[_-]/g, SEPARATORS];
/** An encoded text that has separators itself begins after one of the first, or ends before one of the last. */
const MOST_OUTER = 8;
/** The first six bits of a character of readable text. */
const FIRST = /[CDI-Za-fw-z0-9]/;
/** The characters of readable text as bytes of UTF-8. */
const READABLE_BYTES = /^[\t\n\r -~\x80-\xf4]*$/;
const MOST_CHARACTERS = 87_384; // 64 KiB decoded
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The patterns of this file, for the linearity check. */
export const BASE64_PATTERNS: readonly RegExp[] = [RUN, ...SEPARATIONS];

/** Base64 or base64url in a text that decodes to readable text. */
export interface EncodedText {
  readonly start: number;
  readonly end: number;
  readonly decoded: string;
}

/** Each piece of at most 64 KiB decoded; a piece that does not decode to readable UTF-8 is not text. */
export function encodedTexts(text: string): readonly EncodedText[] {
  const found: EncodedText[] = [];
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (run.length > MOST_CHARACTERS) continue;
    for (const { start, end, decoded } of encodedIn(run)) {
      found.push({ start: index + start, end: index + end, decoded });
    }
  }
  return found;
}

/** The whole run, else what separators in it leave: `/path/` and the encoded text are one run. */
function encodedIn(run: string): readonly EncodedText[] {
  const whole = decode(run);
  if (whole !== undefined) return [{ start: 0, end: run.length, decoded: whole }];
  if (!/[A-Z\d]/.test(run)) return []; // words and paths
  const places = Array.from(run.matchAll(SEPARATORS), ({ index }) => index);
  const pieces = [
    ...places.slice(0, MOST_OUTER).map((place) => [place + 1, run.length] as const),
    ...places.slice(-MOST_OUTER).map((place) => [0, place] as const),
    ...(isMixed(run) ? SEPARATIONS : [SEPARATORS]).flatMap((separation) => piecesBetween(run, separation)),
  ];
  return longest(
    run.length,
    pieces.flatMap(([start, end]) => decodePiece(run, start, end) ?? []),
  );
}

/** Whether it has characters of both alphabets. */
function isMixed(text: string): boolean {
  return /[+/]/.test(text) && /[_-]/.test(text);
}

function piecesBetween(run: string, separation: RegExp): readonly (readonly [start: number, end: number])[] {
  const ends = [...Array.from(run.matchAll(separation), ({ index }) => index), run.length];
  return ends.map((end, index) => [index === 0 ? 0 : (ends[index - 1] as number) + 1, end]);
}

function decodePiece(run: string, start: number, end: number): EncodedText | undefined {
  if (end - start < SHORTEST || !beginsReadable(run, start)) return undefined;
  const piece = run.slice(start, end);
  const decoded = isMixed(piece) ? undefined : decode(piece);
  return decoded === undefined ? undefined : { start, end, decoded };
}

/** The longest first, without overlaps. A piece that overlaps a longer one has its beginning or its end in it. */
function longest(length: number, texts: readonly EncodedText[]): readonly EncodedText[] {
  const isTaken = new Uint8Array(length);
  return [...texts]
    .sort((a, b) => b.end - b.start - (a.end - a.start))
    .filter(({ start, end }) => {
      if (isTaken[start] === 1 || isTaken[end - 1] === 1) return false;
      isTaken.fill(1, start, end);
      return true;
    });
}

/** Most pieces of other text are told by their first byte, others by the first nine. */
function beginsReadable(run: string, start: number): boolean {
  if (!FIRST.test(run[start] as string)) return false;
  return READABLE_BYTES.test(atob(standard(run.slice(start, start + SHORTEST))));
}

const FEWEST_UNSEARCHED = 512;

/**
 * Characters of long Base64 in a text whose content was not searched: all of it, or with `decoded` pieces that are
 * larger than 64 KiB or not text. Recognized by letters of both cases and digits, so that a name or a hash does not
 * count.
 */
export function unsearchedLength(text: string, decoded: boolean): number {
  let characters = 0;
  for (let index = FEWEST_UNSEARCHED - 1; index < text.length;) {
    // Backwards from the first place where a run could be long enough: prose is skipped in long steps.
    let start = index;
    while (start > index - FEWEST_UNSEARCHED && isBase64(text.charCodeAt(start))) start--;
    if (start > index - FEWEST_UNSEARCHED) {
      index = start + FEWEST_UNSEARCHED;
      continue;
    }
    let end = index + 1;
    while (end < text.length && isBase64(text.charCodeAt(end))) end++;
    const run = text.slice(start + 1, end);
    const rest = run.length - (decoded ? searchedLength(run) : 0);
    const isLong = rest >= FEWEST_UNSEARCHED;
    if (isLong && /\d/.test(run) && /[a-z]/.test(run) && /[A-Z]/.test(run)) characters += rest;
    index = end + FEWEST_UNSEARCHED;
  }
  return characters;
}

function searchedLength(run: string): number {
  return encodedTexts(run).reduce((length, { start, end }) => length + end - start, 0);
}

/** The characters of base64url (RFC 4648, 5), of which most keys and tokens are made. */
export function isBase64Url(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x5f ||
    code === 0x2d
  );
}

/** The characters of both alphabets, and the padding. */
function isBase64(code: number): boolean {
  return isBase64Url(code) || code === 0x2b || code === 0x2f || code === 0x3d;
}

function decode(token: string): string | undefined {
  const plain = standard(token.replace(/=+$/, ''));
  if (plain.length % 4 === 1) return undefined;
  try {
    const binary = atob(plain);
    const text = decoder.decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
    return READABLE().test(text.replace(/[\n\r\t]/g, '')) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** In the characters of Base64. */
function standard(text: string): string {
  return text.replaceAll('-', '+').replaceAll('_', '/');
}
