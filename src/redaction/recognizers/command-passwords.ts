import { CLUE } from '../clues.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';
import { isPassword, type Style } from './password-shape.ts';
import { secretResult } from './secret-result.ts';

/**
 * Short options mean a password in some programs and a port or a path in others, so the pattern includes the
 * program.
 */
const COMMANDS: readonly (readonly [needed: string, style: Style, pattern: RegExp])[] = [
  // curl -u ada:password
  ['-u', 'command', /(?:^|\s)(?:-u|--user|--proxy-user)[ =]{1,2}["']?[^\s"':]{1,128}:([^\s"']{3,256})/g],
  // curl -uada:password, curl -sSu ada:'password'
  [
    'curl',
    'assigned',
    /\bcurl [^\n|;&]{0,160}?(?<=\s)(?:-[A-Za-z]{0,8}[uU]|--user|--proxy-user)[ =]{0,2}["']?[^\s"':]{1,128}:["']?([^\s"']{3,256})/g,
  ],
  // mysql -uroot -ppassword
  ['-p', 'command', /\b(?:mysql|mariadb)[a-z_-]{0,16} [^\n|;&]{0,160}?(?<=\s)-p["']?([^\s"']{4,256})/g],
  // sshpass -p password, docker login -u ada -p password
  [
    '-p',
    'assigned',
    /(?:\bsshpass|\b(?:docker|podman|helm|oc|az|skopeo|buildah|crane|cf)(?: registry| acr)? login)(?= )[^\n|;&]{0,160}?\s-p[ =]{0,2}["']?([^\s"']{4,256})/g,
  ],
  // net use x: \\\\host\\share /user:ada password
  ['/user:', 'command', /\/user:[^\s"']{1,128} {1,4}["']?([^\s"'/]{4,256})/gi],
  // net use x: \\host\share password, net use x: \\host\share /u:ada password
  [
    'use ',
    'plain',
    /\bnet(?:\.exe)? use [^\n|;&]{0,160}?(?:\\\\[^\s"']{1,128}|\/u:[^\s"']{1,128}) {1,4}["']?([^\s"'/]{4,256})/gi,
  ],
  // CREATE USER ada IDENTIFIED BY 'password'
  [
    'identified',
    'quoted',
    /\bidentified (?:with \w{1,40} )?(?:by|as) (?:password )?["']((?:[^\n"'\\]|''|\\.){4,256})["']/gi,
  ],
  // CREATE USER ada IDENTIFIED BY password;
  [
    'identified',
    'assigned',
    /\b(?:create|alter) (?:user|role) [^\s;]{1,128} identified by (?!values\b|password\b)([^\s"';,()]{4,256})/gi,
  ],
  // ALTER USER ada WITH PASSWORD 'password'
  [
    'password',
    'quoted',
    /\b(?:create|alter) (?:user|role|login) [^\n;]{1,160}? password[ =]{1,3}["']((?:[^\n"'\\]|''|\\.){4,256})["']/gi,
  ],
];

/** Passwords by their position in a command. */
export const commandPasswordRecognizer: BuiltInRecognizer = {
  name: 'command-password',
  entities: ['PASSWORD'],
  patterns: COMMANDS.map(([, , pattern]) => pattern),
  clues: CLUE.command,
  analyze(text): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    for (const [needed, style, pattern] of COMMANDS) {
      if (!text.includes(needed) && !text.includes(needed.toUpperCase())) continue;
      for (const match of text.matchAll(pattern)) {
        const password = match[1] as string;
        if (!isPassword(password, style, '')) continue;
        const start = match.index + match[0].lastIndexOf(password);
        found.push(secretResult('password', start, start + password.length));
      }
    }
    return found;
  },
};
