import { keyHint, nearestHint, words } from '../context.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

const COLONS = /(?<![\p{L}\p{N}_:.-])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![\p{L}\p{N}_]|[:-][0-9A-Fa-f])/gu;
const HYPHENS =
  /(?<![\p{L}\p{N}_:.-])[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}(?![\p{L}\p{N}_]|[:-][0-9A-Fa-f])/gu;
const DOTS =
  /(?<![\p{L}\p{N}_:.-])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![\p{L}\p{N}_]|\.[0-9A-Fa-f])/gu;
const MAC_WORDS = words('mac ethernet bssid hwaddr ether physical');
const HTTP_URL = /(?<![\p{L}\p{N}_])(?:https?|ftps?|wss?):\/\/[^\s<>"'`\\^{|}]{2,2048}/giu;

/** MAC addresses in the three usual forms (IEEE 802); broadcast and the null address are nobody's. */
export const macRecognizer: BuiltInRecognizer = {
  name: 'mac',
  entities: ['MAC_ADDRESS'],
  patterns: [COLONS, HYPHENS, DOTS],
  analyze(text, context): readonly RecognizerResult[] {
    if (text.length < 14) return [];
    const found: RecognizerResult[] = [];
    for (const pattern of [COLONS, HYPHENS, DOTS]) {
      for (const match of text.matchAll(pattern)) {
        const digits = match[0].replace(/[^0-9A-Fa-f]/g, '');
        if (/^(?:0{12}|f{12})$/i.test(digits)) continue;
        if (!/[A-Fa-f]/.test(digits) && pattern !== COLONS) {
          const supported =
            nearestHint(text, match.index, MAC_WORDS) === 'supports' ||
            keyHint(context, MAC_WORDS) === 'supports';
          if (!supported) continue;
        }
        const { index: start } = match;
        found.push({
          entityType: 'MAC_ADDRESS',
          start,
          end: start + match[0].length,
          score: 0.85,
          validated: true,
        });
      }
    }
    return found;
  },
};

/** Whole URLs. Off by default: addresses, passwords and numbers in URLs are found without it. */
export const urlRecognizer: BuiltInRecognizer = {
  name: 'url',
  entities: ['URL'],
  patterns: [HTTP_URL],
  analyze(text): readonly RecognizerResult[] {
    if (!text.includes('://')) return [];
    return [...text.matchAll(HTTP_URL)].map((match) => {
      // A full stop, comma or bracket at the end belongs to the sentence.
      const length = match[0].replace(/[.,;:!?)\]*]{1,8}$/, '').length;
      return { entityType: 'URL', start: match.index, end: match.index + length, score: 0.6 };
    });
  },
};
