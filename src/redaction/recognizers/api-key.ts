import { isBase64Url } from '../base64.ts';
import { endOfRun, hasLongRun } from '../boundary.ts';
import { CLUE, UNKNOWN } from '../clues.ts';
import { late } from '../late.ts';
import { forEachMatch, placedPattern } from '../places.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { KEY_FORMS, KEY_PREFIXES } from './key-prefixes.ts';
import { isPlaceholder, looksRandom } from './randomness.ts';

/** Every key with a prefix has this many characters without a gap. */
const SHORTEST = 15;
/** For a key with full stops: names of modules have fewer digits. */
const LEAST_DIGITS = 5;
const SHORTEST_DOTTED = 20;
const SLUG = /^(?:[a-z]{2,}[_-]){3}/;

const BODIES = late(bodiesByPrefix);
/** All prefixes at once, longer ones first; a run of the key's own alphabet is read once. */
const PREFIX = late(() =>
  placedPattern(
    new RegExp(
      `(?<![A-Za-z0-9])(?:${[...BODIES().keys()]
        .sort((a, b) => b.length - a.length)
        .map((prefix) => prefix.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'))
        .join('|')})`,
    ),
  ),
);

/** Keys of more than a hundred providers, by their prefix or their form. */
export const apiKeyRecognizer: BuiltInRecognizer = {
  name: 'api-key',
  entities: ['API_KEY'],
  get patterns() {
    return [
      PREFIX().anywhere,
      ...[...BODIES().values()].flat(),
      ...KEY_FORMS.map(([, , , pattern]) => pattern),
    ];
  },
  // Keys of Azure can have full stops within a run, and have a tilde.
  clues: CLUE.run15 | CLUE.tilde,
  analyze(text, _context, { keyPrefixes } = UNKNOWN): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    if (hasLongRun(text, SHORTEST)) {
      forEachMatch(text, PREFIX(), keyPrefixes, ({ 0: prefix, index }) => {
        const end = keyEnd(text, index, prefix);
        if (end === undefined) return index + prefix.length;
        push(found, index, end);
        return end;
      });
    }
    for (const [, literal, run, pattern] of KEY_FORMS) {
      if (!text.includes(literal) || !hasLongRun(text, run)) continue;
      for (const match of text.matchAll(pattern)) {
        if (!isPlaceholder(match[0])) push(found, match.index, match.index + match[0].length);
      }
    }
    return found;
  },
};

function keyEnd(text: string, start: number, prefix: string): number | undefined {
  // `blog-sk-learn` and `task_fw_…`: a prefix this short counts only at the start of a word.
  if (prefix.length <= 3 && /[_-]/.test(text[start - 1] ?? '')) return undefined;
  for (const body of BODIES().get(prefix) as readonly RegExp[]) {
    body.lastIndex = start + prefix.length;
    const match = body.exec(text);
    if (match === null || isPlaceholder(prefix + match[0])) continue;
    // Words joined by hyphens can begin with sk- or pa-; a key of that form has digits too.
    if (/^[a-z][a-z0-9]{1,2}[_-]$/.test(prefix) && !isShortKey(match[0])) continue;
    return endOfKey(text, start + prefix.length + match[0].length);
  }
  return dottedKeyEnd(text, start + prefix.length, prefix);
}

/** The end of `sk-ab12.cd34.…`, a key with only short runs between its full stops; `sk-learn.svm` is not one. */
function dottedKeyEnd(text: string, start: number, prefix: string): number | undefined {
  if (prefix !== 'sk-') return undefined;
  const end = endOfKey(text, start);
  const body = text.slice(start, end).replace(/[.~+]/g, '');
  const digits = body.match(/\d/g)?.length ?? 0;
  return digits >= LEAST_DIGITS && !SLUG.test(body) && looksRandom(body, SHORTEST_DOTTED) ? end : undefined;
}

/** Whether the text after a prefix that can begin words is that of a key. */
function isShortKey(body: string): boolean {
  return (!SLUG.test(body) && looksRandom(body)) || isScrambled(body);
}

/** Letters only, as keys of Hugging Face: more changes of case than the words of a name have. */
function isScrambled(body: string): boolean {
  if (!/^[A-Za-z0-9]{30,}$/.test(body)) return false;
  const changes = body.match(/[a-z](?=[A-Z])|[A-Z](?=[a-z])/g)?.length ?? 0;
  return changes >= 0.34 * body.length;
}

/**
 * A key is extended over adjacent key characters, as in `sk-….…`. A slash separates the segments of a URL and `=` a
 * name from its value: there it ends.
 */
export function endOfKey(text: string, end: number): number {
  let last = end;
  for (;;) {
    last = endOfRun(text, last, isBase64Url);
    if (!/[.~+]/.test(text[last] ?? '') || !/[A-Za-z0-9]/.test(text[last + 1] ?? '')) break;
    last++;
  }
  return last;
}

function push(found: RecognizerResult[], start: number, end: number): void {
  found.push({ entityType: 'API_KEY', start, end, score: 0.95 });
}

function bodiesByPrefix(): Map<string, RegExp[]> {
  const bodies = new Map<string, RegExp[]>();
  for (const [, prefixes, body] of KEY_PREFIXES) {
    for (const prefix of prefixes.split(' ')) {
      bodies.set(prefix, [...(bodies.get(prefix) ?? []), new RegExp(body.replaceAll(',}', ',256}'), 'y')]);
    }
  }
  return bodies;
}
