import { CLUE } from '../clues.ts';
import { words } from '../context.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { isStandIn, looksRandom } from './randomness.ts';
import { secretResult } from './secret-result.ts';

/** A hyphen that begins a line is that of a diff. */
const COOKIE =
  /(?<![\w=:]|.-)(?:set-)?cookie(?:["']?[ \t]{0,2}[:=][ \t]{0,2}["']?|\\{0,3}["'`],\s{0,16}b?\\{0,3}["'`])/gi;
const COOKIE_PAIR = /([\w!#$%&*.^`|~+-]{1,128}=)([^\s;,"']{0,4096})(?:;[ \t]{0,4}|(?=[\s,"']|$))/y;
const COOKIE_KEYS: ReadonlySet<string> = words(
  'cookie cookies setcookie setcookies set-cookie set-cookies set_cookie set_cookies',
);
const LONGEST_KEY = 'set-cookies'.length;

/** Every value of a cookie header that looks like a credential. */
export const cookieRecognizer: BuiltInRecognizer = {
  name: 'cookie',
  entities: ['API_KEY'],
  patterns: [COOKIE],
  clues: CLUE.cookie | CLUE.key,
  analyze(text, context): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    if (isCookieKey(context.key)) findPairs(text, 0, found);
    for (const match of text.matchAll(COOKIE)) findPairs(text, match.index + match[0].length, found);
    return found;
  },
};

/** Whether a text under this key is a cookie as a whole. */
export function isCookieKey(key: string | undefined): boolean {
  return key !== undefined && key.length <= LONGEST_KEY && COOKIE_KEYS.has(key.toLowerCase());
}

function findPairs(text: string, from: number, found: RecognizerResult[]): void {
  for (let place = from; ;) {
    COOKIE_PAIR.lastIndex = place;
    const match = COOKIE_PAIR.exec(text);
    if (match === null) return;
    const end = place + match[0].length;
    const value = match[2] as string;
    const start = place + (match[1] as string).length;
    const isSession = /sess|sid=$|auth|token|jwt/i.test(match[1] as string);
    if (
      isSession
        ? value.length >= 8 && /\d/.test(value) && !isStandIn(value)
        : looksRandom(value) && /[A-Za-z].*[A-Za-z].*[A-Za-z]/.test(value)
    ) {
      found.push(secretResult('token', start, start + value.length));
    }
    place = end;
  }
}
