import { keyHint, words, wordsBefore, wordsOfKey } from '../context.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from '../recognizer.ts';

const V4 = /(?<![\p{L}\p{N}_.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\p{L}\p{N}_]|\.\d|-[A-Za-z])/gu;
const V6 = /(?<![\p{L}\p{N}_:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,60}(?:%[0-9A-Za-z]{1,15})?/gu;
const IP_WORDS = words('ip ips ipv4 ipv6 addr address host client remote server gateway subnet dns');
/** What has four numbers with points and is no address. */
const VERSION_WORDS = words(
  'v ver version versions release build firmware section chapter clause paragraph article oid rev revision ' +
    'chrome firefox safari edge opera driver sdk upgrade assembly semver',
);

/** IPv4 and IPv6 addresses, all ranges; versions and section numbers are told apart by the word before them. */
export const ipRecognizer: BuiltInRecognizer = {
  name: 'ip',
  entities: ['IP_ADDRESS'],
  patterns: [V4, V6],
  analyze(text, context): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    if (text.includes('.')) findV4(text, context, found);
    if (text.includes(':')) findV6(text, context, found);
    return found;
  },
};

function findV4(text: string, context: TextContext, found: RecognizerResult[]): void {
  for (const match of text.matchAll(V4)) {
    const octets = match[0].split('.');
    if (!octets.every(isOctet) || match[0] === '0.0.0.0' || isVersion(text, match.index, context)) continue;
    const { index: start } = match;
    found.push({
      entityType: 'IP_ADDRESS',
      start,
      end: start + match[0].length,
      score: 0.8,
      validated: true,
    });
  }
}

function isOctet(octet: string): boolean {
  return Number(octet) < 256 && (octet === '0' || !octet.startsWith('0'));
}

function isVersion(text: string, start: number, context: TextContext): boolean {
  if (/[A-Za-z]\/$/.test(text.slice(Math.max(0, start - 2), start))) return true; // Chrome/120.0.0.0
  if (/[§#]\s?$/.test(text.slice(Math.max(0, start - 2), start))) return true;
  const near = wordsBefore(text, start, 2);
  if (near.some((word) => VERSION_WORDS.has(word))) return !near.some((word) => IP_WORDS.has(word));
  if (keyHint(context, IP_WORDS) === 'supports') return false;
  return wordsOfKey(context.key).some((word) => VERSION_WORDS.has(word));
}

function findV6(text: string, context: TextContext, found: RecognizerResult[]): void {
  for (const match of text.matchAll(V6)) {
    const [address = '', zone] = match[0].split('%');
    const trimmed = address.replace(/(?<!:):$|\.+$/, '').replace(/\.+$/, '');
    if (!isV6(trimmed)) continue;
    const start = match.index;
    if (/[\p{L}\p{N}_]/u.test(text[start + match[0].length] ?? '') && trimmed === address) continue;
    if (isWeakV6(trimmed) && keyHint(context, IP_WORDS) !== 'supports') {
      if (!wordsBefore(text, start, 3).some((word) => IP_WORDS.has(word))) continue;
    }
    const end = start + trimmed.length + (zone === undefined || trimmed !== address ? 0 : zone.length + 1);
    found.push({ entityType: 'IP_ADDRESS', start, end, score: 0.9, validated: true });
  }
}

/** RFC 4291, 2.2. */
function isV6(address: string): boolean {
  const halves = address.split('::');
  if (halves.length > 2) return false;
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
