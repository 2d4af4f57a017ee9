import { isJoinedBefore } from '../boundary.ts';
import { CLUE } from '../clues.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { isTopLevelDomain } from '../top-level-domains.ts';

const OPEN = '[ \\t]{0,2}[\\[({<][ \\t]?';
const CLOSE = '[ \\t]?[\\])}>][ \\t]{0,2}';
const AT = `${OPEN}(?:at|ät|a|@|arroba|chez|bei)${CLOSE}|[ \\t]{1,2}(?:at|@|arroba)[ \\t]{1,2}|[_-]at[_-]`;
const DOT = `${OPEN}(?:dot|\\.|punkt|punto|point|ponto)${CLOSE}|[ \\t]{1,2}(?:dot|punkt|punto|point|ponto)[ \\t]{1,2}|[_-]dot[_-]|\\.`;
const ADDRESS = new RegExp(
  `(?<![A-Za-z0-9._+-])([A-Za-z0-9](?:(?!_at_|-at-)[A-Za-z0-9._+-]){0,63})(${AT})` +
    `([A-Za-z0-9](?:(?![_-]dot[_-])[A-Za-z0-9-]){0,62})((?:(?:${DOT})[A-Za-z0-9-]{1,63}){1,8})`,
  'gi',
);
const LABEL = new RegExp(`(${DOT})([A-Za-z0-9-]{1,63})`, 'giy');

/** `name [at] host [dot] com`, `name (at) host.com`, `name at host dot com`: only with `decode: ['obfuscated']`. */
export const obfuscatedEmailRecognizer: BuiltInRecognizer = {
  name: 'obfuscated-email',
  entities: ['EMAIL_ADDRESS'],
  patterns: [ADDRESS],
  clues: CLUE.always,
  analyze(text): readonly RecognizerResult[] {
    if (!/[ _({[<-](?:at|ät|a|@|arroba|chez|bei)[ _)}\]>-]/i.test(text)) return [];
    const found: RecognizerResult[] = [];
    for (const match of text.matchAll(ADDRESS)) {
      const { index: start } = match;
      const [, user = '', at = '', host = ''] = match;
      const end = domainEnd(
        text,
        start + user.length + at.length + host.length,
        start + match[0].length,
        /[[({<_@-]/.test(at),
      );
      if (end === undefined || isJoinedBefore(text, start)) continue;
      found.push({ entityType: 'EMAIL_ADDRESS', start, end, score: 0.8 });
    }
    return found;
  },
};

/** The end of the last label that is a top-level domain. "at" as a word needs "dot" as a word besides. */
function domainEnd(text: string, from: number, to: number, isMarked: boolean): number | undefined {
  let best: number | undefined;
  let isSpelled = isMarked;
  LABEL.lastIndex = from;
  for (let match = LABEL.exec(text); match !== null && match.index < to; match = LABEL.exec(text)) {
    isSpelled ||= match[1] !== '.';
    if (isTopLevelDomain((match[2] as string).toLowerCase()) && isSpelled)
      best = match.index + match[0].length;
  }
  return best;
}
