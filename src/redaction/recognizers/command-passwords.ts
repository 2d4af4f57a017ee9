import { CLUE } from '../clues.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { isPassPhrase, isPassword, type Style } from './password-shape.ts';
import { secretResult } from './secret-result.ts';

/** In double quotes, in single quotes, or up to a space; with text before it in the same quotes. */
function passwordAfter(before: string, fewest: number, free = `[^\\s"']`): string {
  const most = `{${fewest},256}`;
  return (
    `(?:"${before}((?:[^"\\\\\\n]|\\\\.)${most})"|'${before}([^'\\n]${most})'|` +
    `${before}(?:"((?:[^"\\\\\\n]|\\\\.)${most})"|'([^'\\n]${most})')|["']?${before}["']?(${free}${most}))`
  );
}

const USER = `[^\\s"':]{1,128}:`;

interface Command {
  /** A text that has none of it has no match. */
  readonly needed: string;
  readonly style: Style;
  /** Its groups are passwords. */
  readonly pattern: RegExp;
  /** Whether a password of several words is one: not after options of any program, nor in prose. */
  readonly mayHaveSpaces: boolean;
}

/**
 * Short options mean a password in some programs and a port or a path in others, so the pattern includes the
 * program.
 */
const COMMANDS: readonly Command[] = [
  // curl -u ada:password
  {
    needed: '-u',
    style: 'command',
    pattern: new RegExp(
      String.raw`(?:^|\s)(?:-u|--user|--proxy-user)[ =]{1,2}${passwordAfter(USER, 3)}`,
      'g',
    ),
    mayHaveSpaces: false,
  },
  // curl -uada:password, curl -sSu ada:'password', curl -u "ada:two words"
  {
    needed: 'curl',
    style: 'assigned',
    pattern: new RegExp(
      String.raw`\bcurl [^\n|;&]{0,160}?(?<=\s)(?:-[A-Za-z]{0,8}[uU]|--user|--proxy-user)[ =]{0,2}${passwordAfter(USER, 3)}`,
      'g',
    ),
    mayHaveSpaces: true,
  },
  // mysql -uroot -ppassword
  {
    needed: '-p',
    style: 'command',
    pattern: new RegExp(
      String.raw`\b(?:mysql|mariadb)[a-z_-]{0,16} [^\n|;&]{0,160}?(?<=\s)-p${passwordAfter('', 4)}`,
      'g',
    ),
    mayHaveSpaces: true,
  },
  // sshpass -p password, docker login -u ada -p password
  {
    needed: '-p',
    style: 'assigned',
    pattern: new RegExp(
      String.raw`(?:\bsshpass|\b(?:docker|podman|helm|oc|az|skopeo|buildah|crane|cf)(?: registry| acr)? login)(?= )[^\n|;&]{0,160}?\s-p[ =]{0,2}${passwordAfter('', 4)}`,
      'g',
    ),
    mayHaveSpaces: true,
  },
  // net use x: \\\\host\\share /user:ada password
  {
    needed: '/user:',
    style: 'command',
    pattern: new RegExp(
      String.raw`\/user:[^\s"']{1,128} {1,4}${passwordAfter('', 4, String.raw`[^\s"'/]`)}`,
      'gi',
    ),
    mayHaveSpaces: true,
  },
  // net use x: \\host\share password, net use x: \\host\share /u:ada password
  {
    needed: 'use ',
    style: 'plain',
    pattern: new RegExp(
      String.raw`\bnet(?:\.exe)? use [^\n|;&]{0,160}?(?:\\\\[^\s"']{1,128}|\/u:[^\s"']{1,128}) {1,4}${passwordAfter('', 4, String.raw`[^\s"'/]`)}`,
      'gi',
    ),
    mayHaveSpaces: true,
  },
  // CREATE USER ada IDENTIFIED BY 'password'
  {
    needed: 'identified',
    style: 'quoted',
    pattern:
      /\bidentified (?:with \w{1,40} )?(?:by|as) (?:password )?["']((?:[^\n"'\\]|''|\\.){4,256})["']/gi,
    mayHaveSpaces: false,
  },
  // CREATE USER ada IDENTIFIED BY 'two words'
  {
    needed: 'identified',
    style: 'quoted',
    pattern:
      /\b(?:create|alter) (?:user|role) [^\n;]{1,160}? identified (?:with \w{1,40} )?(?:by|as) (?:password )?["']((?:[^\n"'\\]|''|\\.){4,256})["']/gi,
    mayHaveSpaces: true,
  },
  // CREATE USER ada IDENTIFIED BY password;
  {
    needed: 'identified',
    style: 'assigned',
    pattern:
      /\b(?:create|alter) (?:user|role) [^\s;]{1,128} identified by (?!values\b|password\b)([^\s"';,()]{4,256})/gi,
    mayHaveSpaces: false,
  },
  // ALTER USER ada WITH PASSWORD 'password'
  {
    needed: 'password',
    style: 'quoted',
    pattern:
      /\b(?:create|alter) (?:user|role|login) [^\n;]{1,160}? password[ =]{1,3}["']((?:[^\n"'\\]|''|\\.){4,256})["']/gi,
    mayHaveSpaces: true,
  },
];

/** Passwords by their position in a command. */
export const commandPasswordRecognizer: BuiltInRecognizer = {
  name: 'command-password',
  entities: ['PASSWORD'],
  patterns: COMMANDS.map(({ pattern }) => pattern),
  clues: CLUE.command,
  analyze(text): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    for (const { needed, style, pattern, mayHaveSpaces } of COMMANDS) {
      if (!text.includes(needed) && !text.includes(needed.toUpperCase())) continue;
      for (const match of text.matchAll(pattern)) {
        const password = match.slice(1).find((group) => group !== undefined) as string;
        const isFound =
          mayHaveSpaces && /\s/.test(password) ? isPassPhrase(password) : isPassword(password, style, '');
        if (!isFound) continue;
        const start = match.index + match[0].lastIndexOf(password);
        found.push(secretResult('password', start, start + password.length));
      }
    }
    return found;
  },
};
