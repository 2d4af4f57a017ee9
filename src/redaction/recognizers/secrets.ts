import { isBase64Url } from '../base64.ts';
import { endOfRun, isJoinedBefore } from '../boundary.ts';
import { CLUE } from '../clues.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { HOST_AND_PORT, HOSTS_AND_PORTS, PORT_BEFORE_PATH } from './host-and-port.ts';

/** `{"` in Base64, with or without spaces and line breaks after the bracket. */
const JWT = /e(?:y[JA]|w[ok0])/g;
const MOST_PARTS = 9;
const LABEL = '((?:[A-Z0-9]{2,16} ){0,3}PRIVATE KEY(?: BLOCK)?)';
const PRIVATE_KEY = new RegExp(`-----BEGIN ${LABEL}-----`, 'g');
const FOOTER = new RegExp(`-----END ${LABEL}-----`, 'g');
/** Between header and footer of one key, with what a quotation adds to each line. */
const LONGEST_BODY = 1 << 15;
/** A body has one; source code that removes header and footer rarely does. */
const KEY_LINE = /[A-Za-z0-9+/]{20}/;
const KEY_BODY = /[A-Za-z0-9+/=:,.\s-]*(?:\\[nrt])?/y;
/** What a quotation adds between two lines: `> `, ` * `, `" +` and a quote. */
const QUOTATION = /[^A-Za-z0-9]{1,16}(?=[A-Za-z0-9+/]{16})/y;
/** The last `@` before the path ends a password (WHATWG URL, authority state): passwords hold `@` unencoded. */
const USER_INFO =
  /(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,24}:\/\/[^\s/?#@:"'<>]{0,128}:([^\s/?#"'<>]{1,2048})@/g;
const PORT_AFTER_SCHEME = new RegExp(
  `^(?:https?://${HOST_AND_PORT}|[A-Za-z][A-Za-z0-9+.-]{1,24}://${HOSTS_AND_PORTS})`,
  'i',
);
/** The sign of a line of a diff; a scheme can hold it, but not begin with it. */
const DIFF_SIGN = /^[+-](?=[A-Za-z])/gm;
/** Those of databases and queues may also contain characters that end an authority; digits before them are a port. */
const LOOSE_USER_INFO = new RegExp(
  String.raw`(?<![A-Za-z0-9+.-])(?!https?:)[A-Za-z][A-Za-z0-9+.-]{1,24}:\/\/[^\s/?#@:"'<>]{0,128}:(?!${PORT_BEFORE_PATH})((?:[^\s"'<>@:]|:(?!\/\/)){1,256})@`,
  'g',
);

/**
 * JSON web tokens in the compact form: signed and unsecured ones (RFC 7515, RFC 7519) of two and three parts, encrypted
 * ones (RFC 7516) of five, which may be empty. A run with more parts is replaced as a whole.
 */
export const jwtRecognizer: BuiltInRecognizer = {
  name: 'jwt',
  entities: ['JWT'],
  patterns: [JWT],
  clues: CLUE.tokenHeader,
  analyze(text): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    JWT.lastIndex = 0;
    for (let match = JWT.exec(text); match !== null; match = JWT.exec(text)) {
      if (isJoinedBefore(text, match.index) && text[match.index - 1] !== '_') continue;
      const headerEnd = endOfRun(text, match.index, isBase64Url);
      const end = text[headerEnd] === '.' ? tokenEnd(text, match.index, headerEnd + 1) : undefined;
      // Each run is read once, whatever it holds.
      JWT.lastIndex = end ?? headerEnd;
      if (end === undefined) continue;
      found.push({ entityType: 'JWT', start: match.index, end, score: 0.95, validated: true });
    }
    return found;
  },
};

/** @param place After the full stop behind the header. */
function tokenEnd(text: string, start: number, place: number): number | undefined {
  let end = place;
  let characters = 0;
  for (let part = 1; ; part++) {
    const partEnd = endOfRun(text, end, isBase64Url);
    characters += partEnd - end;
    const isLast = text[partEnd] !== '.' || part >= MOST_PARTS;
    // The full stop after an unsecured token may belong to it; after a signature it ends the sentence.
    if (!isLast) end = partEnd + 1;
    else {
      if (partEnd === end && part > 2) end--;
      else end = partEnd;
      break;
    }
  }
  const header = text.slice(start, place - 1);
  return characters >= 6 && (header.startsWith('eyJ') ? header.length >= 11 : isHeader(header))
    ? end
    : undefined;
}

/** Other beginnings are common in text: there the header must be JSON with an algorithm. */
function isHeader(part: string): boolean {
  try {
    const json: unknown = JSON.parse(atob(part.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof json === 'object' && json !== null && 'alg' in json;
  } catch {
    return false;
  }
}

/** Private keys in PEM (RFC 7468), also those that were cut off or have their line breaks escaped. */
export const privateKeyRecognizer: BuiltInRecognizer = {
  name: 'private-key',
  entities: ['PRIVATE_KEY'],
  patterns: [PRIVATE_KEY, FOOTER, KEY_BODY, QUOTATION],
  clues: CLUE.pem,
  analyze(text): readonly RecognizerResult[] {
    if (!text.includes('PRIVATE KEY')) return [];
    const found: RecognizerResult[] = [];
    const footers = Array.from(text.matchAll(FOOTER));
    let next = 0;
    PRIVATE_KEY.lastIndex = 0;
    for (let match = PRIVATE_KEY.exec(text); match !== null; match = PRIVATE_KEY.exec(text)) {
      const start = match.index;
      const bodyStart = start + match[0].length;
      while (next < footers.length && (footers[next] as RegExpExecArray).index < bodyStart) next++;
      const footer = footers[next];
      const isWhole = footer?.[1] === match[1] && isBody(text, bodyStart, footer?.index as number);
      const bodyEnd = isWhole ? Infinity : endOfBody(text, bodyStart);
      // Without its footer the key ends with its alphabet.
      const end = footer !== undefined && footer.index < bodyEnd ? footer.index + footer[0].length : bodyEnd;
      found.push({
        entityType: 'PRIVATE_KEY',
        start,
        end: trimmedEnd(text, start, end),
        score: 1,
        validated: true,
      });
      PRIVATE_KEY.lastIndex = end;
    }
    return found;
  },
};

/** Whether one key stands there, in any layout. */
function isBody(text: string, start: number, end: number): boolean {
  if (end - start > LONGEST_BODY) return false;
  const body = text.slice(start, end);
  return !body.includes('-----BEGIN ') && KEY_LINE.test(body);
}

function endOfBody(text: string, start: number): number {
  for (let end = start; ;) {
    KEY_BODY.lastIndex = end;
    KEY_BODY.test(text);
    QUOTATION.lastIndex = KEY_BODY.lastIndex;
    const next = QUOTATION.test(text) ? QUOTATION.lastIndex : KEY_BODY.lastIndex;
    if (next === end) return end;
    end = next;
  }
}

function trimmedEnd(text: string, start: number, end: number): number {
  let last = end;
  while (last > start && /\s/.test(text[last - 1] as string)) last--;
  return last;
}

/** The password of `scheme://user:password@host` (RFC 3986, 3.2.1). */
export const passwordInUrlRecognizer: BuiltInRecognizer = {
  name: 'password-in-url',
  entities: ['PASSWORD_IN_URL'],
  patterns: [USER_INFO, LOOSE_USER_INFO, DIFF_SIGN],
  clues: CLUE.scheme,
  analyze(text): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    const unsigned = text.replace(DIFF_SIGN, ' ');
    for (const pattern of [USER_INFO, LOOSE_USER_INFO]) {
      for (const match of unsigned.matchAll(pattern)) {
        if (PORT_AFTER_SCHEME.test(match[0])) continue;
        const password = match[1] as string;
        const end = match.index + match[0].length - 1;
        const start = end - password.length;
        found.push({ entityType: 'PASSWORD_IN_URL', start, end, score: 0.9, validated: true });
      }
    }
    return found;
  },
};
