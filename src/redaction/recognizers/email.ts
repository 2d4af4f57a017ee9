import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { isTopLevelDomain } from '../top-level-domains.ts';

const LOCAL_CHARACTER = /[\p{L}\p{M}\p{N}._+'-]/u;
const LONGEST_LOCAL = 64; // RFC 5321, 4.5.3.1.1
const DOMAIN = /[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,62})(?:\.[\p{L}\p{M}\p{N}-]{1,63}){1,8}/uy;
/** Letters of scripts that are written without spaces: a Latin address ends where they begin. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
const PIXEL_DENSITY = /^\d(?:\.\d)?x$/i;
const REPOSITORY_USERS: ReadonlySet<string> = new Set(['git', 'hg', 'svn']);

/**
 * E-mail addresses, internationalized ones too (RFC 6531). Found from the `@` outwards, at most 64 characters back:
 * linear for any text. The domain must end in a real top-level domain, which tells `icon@2x.png` and `pkg@1.2.3`
 * apart; `git@host:path` is a repository.
 */
export const emailRecognizer: BuiltInRecognizer = {
  name: 'email',
  entities: ['EMAIL_ADDRESS'],
  patterns: [DOMAIN],
  analyze(text): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    let free = 0;
    for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
      const start = localStart(text, at, free);
      if (start === at) continue;
      const end = domainEnd(text, at + 1);
      if (end === undefined || isNoMailbox(text, start, at, end)) continue;
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
    if (!LOCAL_CHARACTER.test(text.slice(start - size, start))) break;
    start -= size;
  }
  // Of "联系jane@…" only what follows the last unspaced letter; a local part that is all of them stays whole.
  const local = text.slice(start, at);
  for (let index = local.length - 1; index >= 0; index--) {
    if (UNSPACED.test(local[index] as string)) {
      if (index < local.length - 1) start += index + 1;
      break;
    }
  }
  // In text that is escaped once more than it should be, the letter after a backslash is no part of the address.
  if (text[start - 1] === '\\' && /^[nrtbf]$/.test(text[start] ?? '') && at - start > 1) start++;
  while (start < at && /[.'+-]/.test(text[start] as string)) start++;
  return start;
}

function domainEnd(text: string, start: number): number | undefined {
  DOMAIN.lastIndex = start;
  const match = DOMAIN.exec(text);
  if (match === null) return undefined;
  const labels = match[0].split('.');
  if (PIXEL_DENSITY.test(labels[0] as string)) return undefined;
  let length = 0;
  let best: number | undefined;
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index] as string;
    const usable = index === 0 ? label.length : usableLength(label);
    if (index > 0) {
      const last = label.slice(0, usable).toLowerCase();
      if (isTopLevelDomain(last)) best = start + length + usable;
    }
    if (usable < label.length || /^-|-$/.test(label)) break;
    length += label.length + 1;
  }
  return best;
}

/** `com谢谢` → `com`, `com-` → `com`. */
function usableLength(label: string): number {
  if (/^[a-z]/i.test(label)) {
    const foreign = label.search(UNSPACED);
    if (foreign > 0) return foreign;
  }
  return label.endsWith('-') ? label.search(/-/) : label.length;
}

function isNoMailbox(text: string, start: number, at: number, end: number): boolean {
  const user = text.slice(start, at).toLowerCase();
  // scheme://user:password@host: what stands before the @ is a password, and found as one.
  const before = text.slice(Math.max(0, start - 160), start);
  if (/:\/\/[^\s/?#@"'<>]*:[^\s/?#@:"'<>]*$/.test(before)) return true;
  const inUrl = text.slice(Math.max(0, start - 3), start) === '://';
  if (REPOSITORY_USERS.has(user) && (inUrl || text[end] === ':')) return true;
  // https://ghp_…@github.com: the key before the @ is found as a key.
  if (inUrl && user.length >= 20 && /^[a-z0-9_-]+$/.test(user) && /\d/.test(user)) return true;
  // scp syntax: user@host:path, with a slash in the path
  if (text[end] !== ':') return false;
  const path = /^:[~\w./-]{1,64}/.exec(text.slice(end, end + 65));
  return path !== null && path[0].includes('/') && !path[0].startsWith('://');
}
