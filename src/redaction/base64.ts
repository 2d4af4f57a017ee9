const TOKEN = /(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{12,}={0,2}(?![A-Za-z0-9+/_=-])/g;
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

/** Each piece of at most 64 KiB decoded; what decodes to no readable UTF-8 is data and no text. */
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

function decode(token: string): string | undefined {
  const plain = token.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/');
  if (plain.length % 4 === 1) return undefined;
  try {
    const binary = atob(plain);
    const text = decoder.decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
    return /^[^\p{Cc}\p{Cn}\p{Co}]*$/u.test(text.replace(/[\n\r\t]/g, '')) ? text : undefined;
  } catch {
    return undefined;
  }
}
