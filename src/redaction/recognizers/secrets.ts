import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

const JWT = /(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{0,}(?![\w-])/g;
const PRIVATE_KEY =
  /-----BEGIN (?:[A-Z0-9]{2,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=:,.\s-]|\\[nrt])*/g;
const USER_INFO =
  /(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,24}:\/\/[^\s/?#@:"'<>]{0,128}:([^\s/?#@"'<>]{1,256})@/g;

/** JSON web tokens, signed ones and unsigned ones (RFC 7519); the header must be JSON with an algorithm. */
export const jwtRecognizer: BuiltInRecognizer = {
  name: 'jwt',
  entities: ['JWT'],
  patterns: [JWT],
  analyze(text): readonly RecognizerResult[] {
    if (!text.includes('eyJ')) return [];
    return [...text.matchAll(JWT)].map((match) => ({
      entityType: 'JWT',
      start: match.index,
      end: match.index + match[0].length,
      score: 0.95,
      validated: true,
    }));
  },
};

/** Private keys in PEM (RFC 7468), also those that were cut off or have their line breaks escaped. */
export const privateKeyRecognizer: BuiltInRecognizer = {
  name: 'private-key',
  entities: ['PRIVATE_KEY'],
  patterns: [PRIVATE_KEY],
  analyze(text): readonly RecognizerResult[] {
    if (!text.includes('PRIVATE KEY')) return [];
    const found: RecognizerResult[] = [];
    PRIVATE_KEY.lastIndex = 0;
    for (let match = PRIVATE_KEY.exec(text); match !== null; match = PRIVATE_KEY.exec(text)) {
      const start = match.index;
      const last = /-----END (?:[A-Z0-9]{2,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/.exec(match[0]);
      // Without its footer the key ends where its alphabet does.
      const end = start + (last === null ? match[0].length : last.index + last[0].length);
      found.push({
        entityType: 'PRIVATE_KEY',
        start,
        end: trimmedEnd(text, start, end),
        score: 1,
        validated: true,
      });
      PRIVATE_KEY.lastIndex = end;
    }
    return found;
  },
};

function trimmedEnd(text: string, start: number, end: number): number {
  let last = end;
  while (last > start && /\s/.test(text[last - 1] as string)) last--;
  return last;
}

/** The password of `scheme://user:password@host` (RFC 3986, 3.2.1). */
export const passwordInUrlRecognizer: BuiltInRecognizer = {
  name: 'password-in-url',
  entities: ['PASSWORD_IN_URL'],
  patterns: [USER_INFO],
  analyze(text): readonly RecognizerResult[] {
    if (!text.includes('://')) return [];
    const found: RecognizerResult[] = [];
    for (const match of text.matchAll(USER_INFO)) {
      const password = match[1] as string;
      const end = match.index + match[0].length - 1;
      found.push({
        entityType: 'PASSWORD_IN_URL',
        start: end - password.length,
        end,
        score: 0.9,
        validated: true,
      });
    }
    return found;
  },
};
