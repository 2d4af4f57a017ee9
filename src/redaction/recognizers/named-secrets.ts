import { CLUE, UNKNOWN, type Clues } from '../clues.ts';
import { ASCII } from '../context.ts';
import { latePattern } from '../late.ts';
import { forEachMatch, placedPattern, type PlacedPattern } from '../places.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from '../recognizer.ts';
import { ENDS_UNSPACED, UNSPACED_LETTER } from '../unspaced.ts';
import { afterScheme, areCredentials, parametersAt } from './credentials.ts';
import { FOREIGN_NAME_ENDS } from './foreign-names.ts';
import { isPassword, type Style } from './password-shape.ts';
import { isListedSecret } from './listed-secrets.ts';
import { looksRandom } from './randomness.ts';
import {
  CREDENTIAL_SCHEMES,
  isPassKey,
  NAME_ENDS,
  secretKind,
  secretKindOfKey,
  TELLING_CHARACTER,
  type SecretKind,
} from './secret-names.ts';
import { secretResult } from './secret-result.ts';

const NAME_CHARACTER = latePattern(String.raw`[\p{L}\p{M}\p{N}_.-]`, 'u');
const LONGEST_NAME = 64;
/** `[0]`, a quote that closes the name, Markdown's emphasis, then `=`, `:`, `=>` or "is"; particles may touch. */
const SEPARATOR =
  /(?:[._-]?\d{1,2})?(?:\[\w{0,16}\])?\\{0,3}["'`*_\])]{0,4}[ \t]{0,8}(?:=>|:=|={1,3}|:(?!:)|(?:is|was|ist|war|lautet|est|es|é|è|jest|er|är|on|это|הוא|है|هو|هي)(?=\s)|[是为為はが는은이가])[ \t*_]{0,8}/iuy;
/** A space, the end of a tag, or a value in ASCII. */
const TOUCHABLE = /[\t\x20-\x7e]/;
/** A command line and a file of pairs have only space there: `--token x`, `aws_secret_access_key x`. */
const SPACE = /[ \t]{1,8}/y;
/** From the end of a line to the only word of the next. */
const BELOW = /\r?\n(?:[ \t]{0,8}\r?\n)?[ \t>]{0,8}(?=\S{6,512}[ \t]{0,8}(?:[\r\n]|$))/y;
/** `WITH PASSWORD 'x'` */
const SPACE_AND_QUOTE = /[ \t]{1,4}(?=["'`])/y;
/** `name: DB_PASSWORD`, on the next line `value: x`; `key="token" value="x"` */
const PAIR =
  /["']?[ \t]{0,4}(?:,[ \t]{0,4})?(?:\r?\n)?[ \t]{0,16}["']?val(?:ue)?["']?[ \t]{0,3}[:=][ \t]{0,3}/iy;
/** `<th>Password</th><td>x` */
const CELL =
  /\s{0,16}(?::\s{0,16})?(?:<\/(?:th|td|dt|b|strong|label|span|name|key)>\s{0,16}(?::\s{0,16})?){1,3}(?:<(?:td|dd|span|p|div|b|strong|code|value|string)(?: [^<>]{0,20})?>\s{0,16}){1,3}/iy;
/** `'Authorization', 'Basic …'`, also as bytes of Python: an element of a list, an argument of a call. */
const LISTED = /\\{0,3}["'`],\s{0,16}b?(?=\\{0,3}["'`])/y;
/** `{"Authorization": ["Basic …"]}`, also as Go prints it and writes it. */
const OPEN_LIST = /\[(?:\]string\{)?[ \t]{0,4}/y;
/** `| Authorization | Basic … |`, columns of other tables */
const APART = /[ \t|,>-]{1,16}/y;
/** `<b>Password:</b> x<br>`: between a label and a value that is alone in its line or element. */
const TAGS =
  /(?:<\/?(?:b|strong|i|em|span|code|kbd|label|td|th|dt|dd|br)(?: [^<>]{0,20})?\/?>\s{0,16}){1,4}(?=[^\s<>]{6,512}[ \t]{0,8}(?:[\r\n<]|$))/iy;
const OPEN_TAG = />[ \t]{0,2}(?=[^\s<>]{1,512}<\/)/y;
const USER_BEFORE = /\b(?:user|username|login|email)["']?[ \t]{0,4}[:=]/i;
const CREDENTIAL_KEYS = /^(?:auth|basic_?auth|credentials?|smtp|login|account|db|database|proxy)$/i;
const OPENING = /\\{0,3}["'`]/y;
/** After `=`: up to the separators of a query, a shell and a connection string. */
const ASSIGNED_VALUE = /[^\s"'`&;,<>\\]{1,1024}/y;
/** Tokens have `=` at their end only. */
const ASSIGNED_TOKEN = /[^\s"'`&;,<>\\=]{1,1024}={0,2}/y;
const VALUE = /[^\s"'`<>\\]{1,1024}/y;
const BEARER = placedPattern(
  new RegExp(`(?<!\\w)(?:${CREDENTIAL_SCHEMES.join('|')}) {1,4}(?=[A-Za-z0-9._~+/-]{20})`, 'i'),
);
const LONGEST_QUOTED = 4096;
const SHORTEST_TOKEN = 12;

/** Tokens and passwords by the name before them, in text, as JSON keys, in headers, queries and commands. */
export const namedSecretRecognizer: BuiltInRecognizer = {
  name: 'named-secret',
  entities: ['API_KEY', 'PASSWORD'],
  patterns: [NAME_ENDS.anywhere, FOREIGN_NAME_ENDS.anywhere, BEARER.anywhere],
  clues: CLUE.secretName | CLUE.key,
  analyze(text, context, clues = UNKNOWN): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    findUnderKey(text, context, found);
    if ((clues.seen & CLUE.secretName) === 0) return found;
    const isAscii = ASCII.test(text);
    if (isAscii && !TELLING_CHARACTER.test(text)) return found;
    // One pass for all names; the text around a name is read only where there is one.
    findAfterNames(NAME_ENDS, text, clues.names, found);
    if (clues.hasForeignName && !isAscii) findAfterNames(FOREIGN_NAME_ENDS, text, undefined, found);
    forEachMatch(text, BEARER, clues.names, (match) => {
      const start = match.index + match[0].length;
      const end = valueEnd(text, start, VALUE);
      if (looksRandom(text.slice(start, end))) found.push(secretResult('token', start, end));
      return start;
    });
    return found;
  },
};

function findAfterNames(
  pattern: PlacedPattern,
  text: string,
  places: Clues['names'],
  found: RecognizerResult[],
): void {
  forEachMatch(text, pattern, places, (match) => {
    const nameEnd = match.index + match[0].length;
    const result = findAfterName(text, match.index, nameEnd);
    if (result === undefined) return nameEnd;
    found.push(result);
    return result.end;
  });
}

/** A whole text under the key of a secret. */
function findUnderKey(text: string, context: TextContext, found: RecognizerResult[]): void {
  if (context.isKey === true || text.length > LONGEST_QUOTED) return;
  const isPass = isPassKey(context.key) && CREDENTIAL_KEYS.test(context.parentKey ?? '');
  const kind = isPass ? 'password' : secretKindOfKey(context.key);
  if (kind === undefined) return;
  if (kind === 'token' && !ASCII.test(text)) return;
  const result = judgeQuoted(kind, context.key as string, text, 0, text.length, 'quoted');
  if (result !== undefined) found.push(result);
}

function findAfterName(text: string, at: number, nameEnd: number): RecognizerResult | undefined {
  // The text after a name is cheaper to check than the name.
  const separated = skip(text, nameEnd, SEPARATOR);
  if (separated === undefined && !TOUCHABLE.test(text[nameEnd] ?? '') && text[nameEnd] !== '\n')
    return undefined;
  let start = at;
  while (start > 0 && at - start < LONGEST_NAME && NAME_CHARACTER().test(text[start - 1] as string)) start--;
  const name = text.slice(start, nameEnd);
  let place = separated === undefined ? afterTouching(text, start, nameEnd) : besideOrBelow(text, separated);
  if (place === undefined) return separated === undefined ? secretBeside(text, start, name) : undefined;
  const kind = secretKind(name) ?? passOfUser(text, start, name);
  if (kind === undefined) return undefined;
  if (kind === 'token') place = skip(text, place, OPEN_LIST) ?? place;
  const isCommand = separated === undefined && /^[ \t]/.test(text.slice(nameEnd, place));
  const isAssigned = text.slice(nameEnd, separated ?? nameEnd).includes('=');
  const opening = skip(text, place, OPENING);
  const parameters = parametersAt(name, text, opening ?? place);
  if (parameters !== undefined) return secretResult('token', ...parameters);
  if (opening !== undefined) {
    const close = closingQuote(text, text.slice(place, opening), opening);
    if (close === -1 || close - opening > LONGEST_QUOTED) return undefined;
    // Without a sign between them it may be prose: 'the password "letmein" is weak'.
    const style = isCommand && !/[_-]/.test(name) ? 'plain' : 'quoted';
    return judgeQuoted(kind, name, text, opening, close, style);
  }
  const schemed = afterScheme(text, place);
  place = schemed ?? place;
  const assigned = kind === 'token' ? ASSIGNED_TOKEN : ASSIGNED_VALUE;
  const end = valueEnd(text, place, isAssigned ? assigned : VALUE);
  if (schemed !== undefined && areCredentials(name, text.slice(place, end))) {
    return secretResult('token', place, end);
  }
  const isVariable =
    isAssigned && (/^-{0,2}[A-Z][A-Z0-9_]{2,}$/.test(name) || /[?&;]/.test(text[start - 1] ?? ''));
  return judge(kind, name, text, place, end, isVariable ? 'assigned' : isCommand ? 'command' : 'plain');
}

/** A secret in quotes that follows its name in quotes, or random credentials after a scheme. */
function secretBeside(text: string, start: number, name: string): RecognizerResult | undefined {
  const nameEnd = start + name.length;
  const place = /["'`]/.test(text[start - 1] ?? '') ? skip(text, nameEnd, LISTED) : undefined;
  if (place === undefined) {
    const apart = skip(text, nameEnd, APART);
    const schemed = apart === undefined ? undefined : afterScheme(text, apart);
    if (schemed === undefined) return undefined;
    const end = valueEnd(text, schemed, VALUE);
    const value = text.slice(schemed, end);
    const isSecret = areCredentials(name, value) && looksRandom(value, SHORTEST_TOKEN);
    return isSecret ? secretResult('token', schemed, end) : undefined;
  }
  const opening = skip(text, place, OPENING);
  if (opening === undefined) return undefined;
  const close = closingQuote(text, text.slice(place, opening), opening);
  if (close === -1 || close - opening > LONGEST_QUOTED) return undefined;
  if (!isListedSecret(name, text.slice(opening, close))) return undefined;
  return judgeQuoted('token', name, text, opening, close, 'quoted');
}

/** `pass` has many meanings, but after a user it is a password: `auth: { user: 'ada', pass: '…' }`. */
function passOfUser(text: string, start: number, name: string): SecretKind | undefined {
  if (!isPassKey(name)) return undefined;
  return USER_BEFORE.test(text.slice(Math.max(0, start - 120), start)) ? 'password' : undefined;
}

/** The value of a name that ends its line stands on the next one, alone; one that ends its cell in the next cell. */
function besideOrBelow(text: string, separated: number): number | undefined {
  if (text[separated] === '<') {
    return skip(text, separated, CELL) ?? skip(text, separated, TAGS) ?? separated;
  }
  return /[\r\n]/.test(text[separated] ?? '') ? skip(text, separated, BELOW) : separated;
}

/** The beginning of a value without a separator after its name: in a tag, on a command line, or adjacent. */
function afterTouching(text: string, start: number, nameEnd: number): number | undefined {
  const paired = skip(text, nameEnd, PAIR) ?? skip(text, nameEnd, CELL);
  if (paired !== undefined) return paired;
  if (text[start - 1] === '<') return skip(text, nameEnd, OPEN_TAG);
  if (ENDS_UNSPACED().test(text.slice(start, nameEnd))) return nameEnd;
  return /[_-]/.test(text.slice(start, nameEnd))
    ? skip(text, nameEnd, SPACE)
    : skip(text, nameEnd, SPACE_AND_QUOTE);
}

/** The end of a text in quotes, past those in it that are escaped (`\\"`) or doubled (`''`). */
function closingQuote(text: string, quote: string, from: number): number {
  const first = text.indexOf(quote, from);
  for (let close = first; close !== -1 && close - from <= LONGEST_QUOTED;) {
    if (/[\r\n]/.test(text.slice(first, close))) return first;
    const isDoubled = quote.length === 1 && close > from && /^.\w/.test(text.slice(close + 1, close + 3));
    if (isDoubled && text[close + 1] === quote) close = text.indexOf(quote, close + 2);
    else if (/(?<!\\)(?:\\\\){0,8}\\$/.test(text.slice(Math.max(from, close - 17), close))) {
      close = text.indexOf(quote, close + quote.length);
    } else return close;
  }
  return first;
}

/** A value between quotes or under a key: space around it and a scheme before it are not part of it. */
function judgeQuoted(
  kind: SecretKind,
  name: string,
  text: string,
  from: number,
  to: number,
  style: Style,
): RecognizerResult | undefined {
  const value = text.slice(from, to);
  const start = from + value.length - value.trimStart().length;
  const end = from + value.trimEnd().length;
  if (kind === 'password') return judge(kind, name, text, start, end, style);
  const parameters = parametersAt(name, text, start);
  if (parameters !== undefined) return secretResult(kind, ...parameters);
  const schemed = afterScheme(text, start);
  if (schemed !== undefined && areCredentials(name, text.slice(schemed, end))) {
    return secretResult(kind, schemed, end);
  }
  return judge(kind, name, text, schemed ?? start, end, style);
}

/** `private_key: ed25519.Ed25519PrivateKey` */
const MEMBER = /^[a-z_][a-z0-9_]{0,63}\.(?:[A-Z][a-z0-9]{1,20}){1,8}$/;

function judge(
  kind: SecretKind,
  name: string,
  text: string,
  start: number,
  end: number,
  style: Style,
): RecognizerResult | undefined {
  const value = text.slice(start, end);
  if (/^["'`]?[([]/.test(text.slice(end, end + 2)) && style !== 'quoted') return undefined; // a call, an index
  if (kind === 'token' && style === 'plain' && MEMBER.test(value)) return undefined;
  const isSecret =
    kind === 'password'
      ? isPassword(value, style, name)
      : !/\s/.test(value) && looksRandom(value, style === 'command' ? undefined : SHORTEST_TOKEN);
  return isSecret ? secretResult(kind, start, end) : undefined;
}

/** A full stop, a comma or a bracket at the end belongs to the sentence, and so does an ending: `…3입니다`. */
function valueEnd(text: string, start: number, pattern: RegExp): number {
  let end = skip(text, start, pattern) ?? start;
  const link = text.slice(start, end).search(/[)\]]{1,2}\(/); // the end of a Markdown link's text or target
  if (link > 0) end = start + link;
  const ending = ASCII.test(text[start] ?? '') ? text.slice(start, end).search(UNSPACED_LETTER()) : -1;
  if (ending > 0) end = start + ending;
  let last = end;
  while (last > start && /[.,;:?)\]}|*]/.test(text[last - 1] as string)) last--;
  return last;
}

function skip(text: string, place: number, pattern: RegExp): number | undefined {
  pattern.lastIndex = place;
  const match = pattern.exec(text);
  return match === null ? undefined : place + match[0].length;
}
