import { CLUE } from '../clues.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { isTopLevelDomain } from '../top-level-domains.ts';
import { latePattern } from '../late.ts';
import { UNSPACED_LETTER } from '../unspaced.ts';
import { HOST_AND_PORT, HOSTS_AND_PORTS, PORT_BEFORE_PATH } from './host-and-port.ts';

const MARK = latePattern(String.raw`\p{M}`, 'u');

/** RFC 5322, 3.2.3 (atext) and letters of all scripts (RFC 6531), except separators: see {@link isSeparator}. */
const LOCAL_CHARACTER = latePattern(String.raw`[\p{L}\p{M}\p{Nd}._+'!#$%&*=^~-]`, 'u');
/** RFC 5321, 4.5.3.1.3: addresses of mailing lists (VERP) are longer than the 64 characters of a local part. */
const LONGEST_LOCAL = 254;
/** An ideographic full stop also separates (UTS #46, 4); the forms of other widths have been folded. */
const DOMAIN = latePattern(
  String.raw`[\p{L}\p{Nd}](?:[\p{L}\p{M}\p{Nd}-]{0,62})(?:[.。][\p{L}\p{M}\p{Nd}-]{1,63}){1,32}`,
  'uy',
);
const LATIN_LETTER = latePattern(String.raw`\p{Script=Latin}`, 'u');
const FOREIGN_LETTER = latePattern(String.raw`(?!\p{Script=Latin})[\p{L}]`, 'u');
const PIXEL_DENSITY = /^\d(?:\.\d)?x$/i;
/** In these URLs a password may contain characters that end the authority of other URLs. */
const DATABASE_USER = new RegExp(
  String.raw`(?<![A-Za-z0-9]|.[+.-])(?!https?:)[A-Za-z][A-Za-z0-9+.-]{1,24}:\/\/(?!${HOSTS_AND_PORTS})[^\s/?#@:"'<>]*:(?!${PORT_BEFORE_PATH})[^\s"'<>@]*$`,
);
const USER_AND_PASSWORD = new RegExp(
  String.raw`:\/\/(?!${HOST_AND_PORT}|${HOSTS_AND_PORTS})[^\s/?#@"'<>]*:[^\s/?#"'<>]*$`,
);
const REPOSITORY_USERS: ReadonlySet<string> = new Set(['git', 'hg', 'svn']);
/** `bounce+jane=acme.com@…`, `SRS0=hash=tt=acme.com=jane@…`, `prvs=tag=jane@…`: an address within a local part. */
const RETURN_PATH = latePattern(
  String.raw`^(?:(?:srs[01]|prvs|msprvs1|btv1)[=+-]|[\p{L}\p{Nd}._]*[+-])`,
  'iu',
);

/**
 * E-mail addresses, internationalized ones too (RFC 6531). Found from the `@` outwards, over the characters of an
 * address: linear for any text. The domain must end in a real top-level domain, unlike `icon@2x.png` and
 * `pkg@1.2.3`; `git@host:path` is a repository.
 */
export const emailRecognizer: BuiltInRecognizer = {
  name: 'email',
  entities: ['EMAIL_ADDRESS'],
  get patterns() {
    return [DOMAIN()];
  },
  clues: CLUE.at,
  analyze(text): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    let free = 0;
    for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
      const end = domainEnd(text, at + 1);
      if (end === undefined) continue;
      const start = localStart(text, at, free);
      if (start === at || isNoMailbox(text, start, at, end)) continue;
      found.push({ entityType: 'EMAIL_ADDRESS', start, end, score: 0.95, validated: true });
      free = end;
    }
    return found;
  },
};

function localStart(text: string, at: number, free: number): number {
  if (text[at - 1] === '"') {
    // RFC 5321, 4.1.2: "jane roe"@acme.com
    const quoted = /"[^"\n\\]{1,64}"$/.exec(text.slice(Math.max(free, at - LONGEST_LOCAL - 2), at));
    return quoted === null ? at : at - quoted[0].length;
  }
  let start = at;
  while (start > free && at - start < LONGEST_LOCAL) {
    const low = text.charCodeAt(start - 1);
    const size = low >= 0xdc00 && low <= 0xdfff && start - 2 >= free ? 2 : 1;
    if (!LOCAL_CHARACTER().test(text.slice(start - size, start))) break;
    start -= size;
  }
  start = afterSeparator(text, afterLabel(text, start, at), at);
  // In text that is escaped once more than it should be, the letter after a backslash is not part of the address.
  if (text[start - 1] === '\\' && /^[nrtbf]$/.test(text[start] ?? '') && at - start > 1) start++;
  while (start < at && /[.'+!#$%&*=^~-]/.test(text[start] as string)) start++;
  return start;
}

/**
 * The characters that an address may have and that also stand between addresses: `=` and `&` of a query, `%` of an
 * encoding, two of Markdown's `*` and `~`. They separate only where they are used as separators; otherwise the run
 * is one address.
 */
function afterSeparator(text: string, start: number, at: number): number {
  const run = text.slice(start, at);
  let cut = 0;
  for (const match of run.matchAll(/%[0-7][0-9A-Fa-f]|(?:%[89A-Fa-f][0-9A-Fa-f]){2,4}|\*\*|~~|''/g)) {
    cut = match.index + match[0].length;
  }
  const equals = run.lastIndexOf('=');
  if (equals >= cut) {
    const ampersand = run.indexOf('&', equals);
    const from = Math.max(cut, run.lastIndexOf('&', equals) + 1);
    // `bounce+jane=acme.com@…`; not `cc=jane@…` nor `to=a&cc=jane@…`
    if (ampersand === -1 && RETURN_PATH().test(run.slice(from, equals + 1))) return start + from;
    cut = Math.max(equals, ampersand) + 1;
  }
  return start + cut;
}

/** In "联系jane@…" and "Почтаjane@…" the address begins after the label; a local part of one alphabet stays whole. */
function afterLabel(text: string, start: number, at: number): number {
  let sawLatin = false;
  let marksEnd: number | undefined;
  for (let index = at - 1; index >= start; index--) {
    const character = text[index] as string;
    if (character < '\u0080') sawLatin ||= /[A-Za-z]/.test(character);
    else if (MARK().test(character)) marksEnd ??= index + 1;
    else {
      const end = marksEnd ?? index + 1;
      const next = text[end] as string;
      marksEnd = undefined;
      // A letter of an unspaced script ends before any other character, other letters only before Latin ones.
      if (UNSPACED_LETTER().test(character)) {
        if (end < at && !UNSPACED_LETTER().test(next)) return end;
      } else if (FOREIGN_LETTER().test(character)) {
        if (sawLatin && LATIN_LETTER().test(next)) return end;
      } else sawLatin ||= LATIN_LETTER().test(character);
    }
  }
  return start;
}

function domainEnd(text: string, start: number): number | undefined {
  DOMAIN().lastIndex = start;
  const match = DOMAIN().exec(text);
  if (match === null) return undefined;
  const labels = match[0].replaceAll('。', '.').split('.');
  const isMixed = match[0].includes('.') && match[0].includes('。');
  if (PIXEL_DENSITY.test(labels[0] as string)) return undefined;
  let length = 0;
  let best: number | undefined;
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index] as string;
    const isLast = index === labels.length - 1;
    // After a domain with full stops an ideographic one ends the sentence.
    if (isMixed && best !== undefined && text[start + length - 1] === '。') break;
    const usable = index === 0 ? label.length : usableLength(label, isLast);
    if (index > 0) {
      const last = label.slice(0, usable).toLowerCase();
      if (isTopLevelDomain(last)) best = start + length + usable;
    }
    if (usable < label.length || /^-|-$/.test(label)) break;
    length += label.length + 1;
  }
  return best;
}

/** `com谢谢` and `com입니다` → `com`, `com-` and `com-verified` → `com`, `公司谢谢` → `公司`. */
function usableLength(label: string, isLast: boolean): number {
  const hyphen = label.indexOf('-');
  if (isLast && hyphen > 0 && isTopLevelDomain(label.slice(0, hyphen).toLowerCase())) return hyphen;
  if (/^[a-z]/i.test(label)) {
    const foreign = label.search(FOREIGN_LETTER());
    if (foreign > 0) return foreign;
  } else if (UNSPACED_LETTER().test(label[0] as string) && !isTopLevelDomain(label.toLowerCase())) {
    for (let length = label.length - 1; length > 0; length--) {
      if (isTopLevelDomain(label.slice(0, length).toLowerCase())) return length;
    }
  }
  return label.endsWith('-') ? label.search(/-/) : label.length;
}

function isNoMailbox(text: string, start: number, at: number, end: number): boolean {
  const user = text.slice(start, at).toLowerCase();
  // scheme://user:password@host: the text before the @ is a password, and found as one.
  const before = text.slice(Math.max(0, start - 160), start);
  if (before.includes('://')) {
    if (USER_AND_PASSWORD.test(before)) return true;
    if (DATABASE_USER.test(before)) return true;
  }
  const inUrl = text.slice(Math.max(0, start - 3), start) === '://';
  if (REPOSITORY_USERS.has(user) && (inUrl || text[end] === ':')) return true;
  // https://ghp_…@github.com: the key before the @ is found as a key.
  if (inUrl && user.length >= 20 && /^[a-z0-9_-]+$/.test(user) && /\d/.test(user)) return true;
  // scp syntax: user@host:path, with a slash in the path
  if (text[end] !== ':') return false;
  const path = /^:[~\w./-]{1,64}/.exec(text.slice(end, end + 65));
  return path !== null && path[0].includes('/') && !path[0].startsWith('://');
}
