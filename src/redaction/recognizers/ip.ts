import { isJoinedAfter, isJoinedBefore, standsFree } from '../boundary.ts';
import { CLUE, UNKNOWN, type Clues } from '../clues.ts';
import { keyHint, words, wordsBefore, wordsOfKey } from '../context.ts';
import { forEachNumber } from '../places.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from '../recognizer.ts';

const V4 = /(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\w|\.\d|-[A-Za-z])/g;
/** The zone of an address (RFC 4007, 11). */
const ZONE = /%[0-9A-Za-z]{1,15}/y;
const IP_WORDS = words('ip ips ipv4 ipv6 addr address host client remote server gateway subnet dns');
/** Words before four numbers with points that are not an address. */
const VERSION_WORDS = words(
  'v ver version versions section chapter clause paragraph article oid objectidentifier versionadded versionchanged rev revision semver',
);
/** Words that precede versions as well as addresses: the numbers decide. */
const PRODUCT_WORDS = words(
  'release build firmware chrome firefox safari edge opera driver sdk upgrade update assembly',
);

/** Between the first and the last version of a range. */
const RANGE_BEFORE =
  /(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?: (?:to|through|thru|until|bis|hasta|à|a) | ?(?:->|=>|→|–|—|-|\.\.\.?) ?)$/;
const LONGEST_RANGE = 32;

/** IPv4 and IPv6 addresses, all ranges; versions and section numbers are excluded by their form and their word. */
export const ipRecognizer: BuiltInRecognizer = {
  name: 'ip',
  entities: ['IP_ADDRESS'],
  patterns: [V4],
  clues: CLUE.fourParts | CLUE.colons,
  analyze(text, context, clues = UNKNOWN): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    if ((clues.seen & CLUE.fourParts) !== 0) findV4(text, context, clues, found);
    if ((clues.seen & CLUE.colons) !== 0) findV6(text, context, found);
    return found;
  },
};

function findV4(text: string, context: TextContext, { numbers }: Clues, found: RecognizerResult[]): void {
  forEachNumber(text, V4, numbers, CLUE.fourParts, ({ 0: address }, start) => {
    const octets = address.split('.');
    if (!octets.every(isOctet) || address === '0.0.0.0') return;
    const end = start + address.length;
    if (!standsFree(text, start, end)) return;
    if (!hasPrefixOrPort(text, end) && isVersion(text, start, octets.map(Number), context)) return;
    found.push({ entityType: 'IP_ADDRESS', start, end, score: 0.8, validated: true });
  });
}

/** `/24`, `:8080`: no version has a network's prefix or a port. */
const PREFIX_OR_PORT = /(?:\/(?:[12]?\d|3[0-2])|:[1-9]\d{1,4})(?![\w.])/y;

function hasPrefixOrPort(text: string, end: number): boolean {
  PREFIX_OR_PORT.lastIndex = end;
  return PREFIX_OR_PORT.test(text);
}

function isOctet(octet: string): boolean {
  return Number(octet) < 256 && (octet === '0' || !octet.startsWith('0'));
}

function isVersion(text: string, start: number, octets: readonly number[], context: TextContext): boolean {
  const range = RANGE_BEFORE.exec(text.slice(Math.max(0, start - LONGEST_RANGE), start));
  if (range === null) return isCalledVersion(text, start, octets, context);
  // "firmware 4.2.1.17 to 4.2.1.18": the words before the first number describe both.
  const first = (range[1] as string).split('.').map(Number);
  const from = start - range[0].length;
  return isCalledVersion(text, from, first, context) && isCalledVersion(text, from, octets, context);
}

function isCalledVersion(
  text: string,
  start: number,
  octets: readonly number[],
  context: TextContext,
): boolean {
  if (/[A-Za-z]\/$/.test(text.slice(Math.max(0, start - 2), start))) return true; // Chrome/120.0.0.0
  if (/[§#]\s?$/.test(text.slice(Math.max(0, start - 2), start))) return true;
  for (const word of wordsBefore(text, start, 2)) {
    if (IP_WORDS.has(word)) return false;
    if (VERSION_WORDS.has(word)) return mayBeVersion(octets);
    if (PRODUCT_WORDS.has(word)) return looksLikeVersion(octets);
  }
  if (keyHint(context, IP_WORDS) === 'supports') return false;
  const key = wordsOfKey(context.key);
  if (key.some((word) => VERSION_WORDS.has(word))) return mayBeVersion(octets);
  return key.some((word) => PRODUCT_WORDS.has(word)) && looksLikeVersion(octets);
}

/** Versions do not have the numbers of a private network (RFC 1918, RFC 3927), except those with a small first part. */
function mayBeVersion([first = 0, second = 0]: readonly number[]): boolean {
  return !(
    (first === 192 && second === 168) ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 169 && second === 254)
  );
}

/** 1.2.3.4, 4.2.18.7, 120.0.0.0: small parts, or the major version of a browser and zeros. */
function looksLikeVersion([first = 0, second = 0, third = 0, fourth = 0]: readonly number[]): boolean {
  if (second === 0 && third === 0 && first < 200) return first !== 10 && first !== 127;
  return first < 32 && first !== 10 && second < 50 && third < 100 && fourth < 100;
}

/** Every run of groups is read once, from its first colon outwards. */
function findV6(text: string, context: TextContext, found: RecognizerResult[]): void {
  let done = 0;
  for (let colon = text.indexOf(':'); colon !== -1; colon = text.indexOf(':', done)) {
    let start = colon;
    while (start > done && isGroupCharacter(text.charCodeAt(start - 1))) start--;
    let end = colon + 1;
    while (end < text.length && isGroupCharacter(text.charCodeAt(end))) end++;
    done = end;
    if (end - start > 2) findInRun(text, start, end, context, found);
  }
}

const LONGEST_V6 = 45; // eight groups, or six and an IPv4 address

function findInRun(
  text: string,
  runStart: number,
  runEnd: number,
  context: TextContext,
  found: RecognizerResult[],
): void {
  let start = runStart;
  // `IP:2001:db8::1`, `face:2001:…`: the address begins after the label; `add:2001:db8::1` is an address itself.
  if (isJoinedBefore(text, runStart)) while (!/[:.]/.test(text[start++] as string));
  else if (text[start] === '.' || (text[start] === ':' && text[start + 1] !== ':')) start++;
  let address = trimmedAddress(text, start, runEnd);
  if (!isV6(address) && text.startsWith('::', runStart)) {
    start = runStart;
    address = trimmedAddress(text, start, runEnd);
  }
  if (!isV6(address)) return;
  const addressEnd = start + address.length;
  if (addressEnd === runEnd && isJoinedAfter(text, runEnd)) return;
  if (isWeakV6(address) && keyHint(context, IP_WORDS) !== 'supports') {
    if (!wordsBefore(text, start, 3).some((word) => IP_WORDS.has(word))) return;
  }
  ZONE.lastIndex = addressEnd;
  const zone = addressEnd === runEnd ? ZONE.exec(text)?.[0] : undefined;
  const end = addressEnd + (zone?.length ?? 0);
  found.push({ entityType: 'IP_ADDRESS', start, end, score: 0.9, validated: true });
}

/** Without the colon and the full stops of the sentence; empty when it is longer than any address. */
function trimmedAddress(text: string, start: number, end: number): string {
  let last = end;
  while (last > start && text[last - 1] === '.') last--;
  if (text[last - 1] === ':' && text[last - 2] !== ':') last--;
  return last - start > LONGEST_V6 ? '' : text.slice(start, last);
}

function isGroupCharacter(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x3a) || // 0 to 9 and the colon
    (code >= 0x61 && code <= 0x66) ||
    (code >= 0x41 && code <= 0x46) ||
    code === 0x2e
  );
}

/** RFC 4291, 2.2. */
function isV6(address: string): boolean {
  const halves = address.split('::');
  if (halves.length > 2 || !address.includes(':')) return false;
  let count = 0;
  for (const [place, half] of halves.entries()) {
    if (half === '') continue;
    const groups = half.split(':');
    for (const [index, group] of groups.entries()) {
      const isLast = place === halves.length - 1 && index === groups.length - 1;
      if (isLast && group.includes('.')) {
        const octets = group.split('.');
        if (octets.length !== 4 || !octets.every((octet) => /^\d{1,3}$/.test(octet) && isOctet(octet)))
          return false;
        count += 2;
      } else if (/^[0-9A-Fa-f]{1,4}$/.test(group)) count++;
      else return false;
    }
  }
  return halves.length === 2 ? count <= 7 : count === 8;
}

/** Also a slice (`1::2`), a name in code (`Dead::Beef`) or nothing (`::`). */
function isWeakV6(address: string): boolean {
  if (address === '::1') return false;
  if (!/\d/.test(address)) return address.split(':').length < 6;
  const groups = address.split(':').filter((group) => group !== '');
  return groups.length < 2 || (groups.length === 2 && !groups.some((group) => group.length > 2));
}
