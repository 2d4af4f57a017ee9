import { latePattern } from './late.ts';

const READABLE = latePattern(String.raw`^[^\p{Cc}\p{Cn}\p{Co}]*$`, 'u');

const TOKEN = /(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{12}[A-Za-z0-9+/_-]*={0,2}(?![A-Za-z0-9+/_=-])/g;
const MOST_CHARACTERS = 87_384; // 64 KiB decoded
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The patterns of this file, for the linearity check. */
export const BASE64_PATTERNS: readonly RegExp[] = [TOKEN];

/** Base64 or base64url in a text that decodes to readable text. */
export interface EncodedText {
  readonly start: number;
  readonly end: number;
  readonly decoded: string;
}

/** Each piece of at most 64 KiB decoded; a piece that does not decode to readable UTF-8 is not text. */
export function encodedTexts(text: string): readonly EncodedText[] {
  const found: EncodedText[] = [];
  for (const match of text.matchAll(TOKEN)) {
    if (match[0].length > MOST_CHARACTERS) continue;
    const decoded = decode(match[0]);
    if (decoded !== undefined)
      found.push({ start: match.index, end: match.index + match[0].length, decoded });
  }
  return found;
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
    const isKnown = decoded && run.length <= MOST_CHARACTERS && decode(run) !== undefined;
    if (!isKnown && /\d/.test(run) && /[a-z]/.test(run) && /[A-Z]/.test(run)) characters += run.length;
    index = end + FEWEST_UNSEARCHED;
  }
  return characters;
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
  const plain = token.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/');
  if (plain.length % 4 === 1) return undefined;
  try {
    const binary = atob(plain);
    const text = decoder.decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
    return READABLE().test(text.replace(/[\n\r\t]/g, '')) ? text : undefined;
  } catch {
    return undefined;
  }
}
