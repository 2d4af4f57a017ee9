import { isJoinedBefore, standsFree } from '../boundary.ts';
import { CLUE } from '../clues.ts';
import { keyHint, nearestHint, words } from '../context.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

const PAIRS = /[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?!\w|[:-][0-9A-Fa-f])/g;
const FOURS = /[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?!\w|\.[0-9A-Fa-f])/g;
/** A group before the address: it is the end of a longer value. `MAC:` and `AP-` are not groups. */
const GROUP_BEFORE = /(?:^|\W)(?:[0-9A-Fa-f]{1,2}[:-]|[0-9A-Fa-f]{4}\.|\d{1,20}[.:-])$/;
const MAC_WORDS = words('mac ethernet bssid hwaddr ether physical');
const HTTP_URL = /(?<!\w)(?:https?|ftps?|wss?):\/\/[^\s<>"'`\\^{|}]{2,2048}/gi;

/** MAC addresses in the three usual forms (IEEE 802); broadcast and the null address belong to no device. */
export const macRecognizer: BuiltInRecognizer = {
  name: 'mac',
  entities: ['MAC_ADDRESS'],
  patterns: [PAIRS, FOURS],
  clues: CLUE.groups,
  analyze(text, context): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    for (const pattern of [PAIRS, FOURS]) {
      for (const match of text.matchAll(pattern)) {
        const digits = match[0].replace(/[^0-9A-Fa-f]/g, '');
        const start = match.index;
        const end = start + match[0].length;
        if (/^(?:0{12}|f{12})$/i.test(digits) || !standsFree(text, start, end)) continue;
        if (GROUP_BEFORE.test(text.slice(Math.max(0, start - 24), start))) continue;
        if (!/[A-Fa-f]/.test(digits) && match[1] !== ':') {
          const supported =
            nearestHint(text, start, MAC_WORDS) === 'supports' || keyHint(context, MAC_WORDS) === 'supports';
          if (!supported) continue;
        }
        found.push({ entityType: 'MAC_ADDRESS', start, end, score: 0.85, validated: true });
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
  clues: CLUE.scheme,
  analyze(text): readonly RecognizerResult[] {
    const matches = [...text.matchAll(HTTP_URL)].filter(({ index }) => !isJoinedBefore(text, index));
    return matches.map((match) => {
      // A full stop, comma or bracket at the end belongs to the sentence.
      const length = match[0].replace(/[.,;:!?)\]*]{1,8}$/, '').length;
      return { entityType: 'URL', start: match.index, end: match.index + length, score: 0.6 };
    });
  },
};
