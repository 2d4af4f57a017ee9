import { isJoinedAfter, isJoinedBefore } from '../boundary.ts';
import { remainder97 } from '../checksums.ts';
import { CLUE, UNKNOWN } from '../clues.ts';
import { forEachMatch, placedPattern } from '../places.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

/** Between two characters: a separator, or one line break with the indentation or quotation mark of the next line. */
const CANDIDATE = placedPattern(
  /(?:(?<![A-Za-z0-9])|(?<=[Ii][Bb][Aa][Nn]))[A-Za-z]{2}\d{2}(?:(?:[ .-]{0,2}|[ \t]{0,2}\r?\n[ \t>|*]{0,8})[A-Za-z0-9]){11,30}/,
);
const SEPARATOR = /[ .\t\r\n>|*-]/;

/** Length by country (SWIFT, IBAN registry). */
const LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 ' +
    'EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 ' +
    'KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 ' +
    'PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 ' +
    'VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** IBANs: a country with its length and mod 97, in groups, over two lines and in lower case too (ISO 13616-1). */
export const ibanRecognizer: BuiltInRecognizer = {
  name: 'iban',
  entities: ['IBAN_CODE'],
  patterns: [CANDIDATE.anywhere],
  clues: CLUE.countryCode,
  analyze(text, _context, { countryCodes } = UNKNOWN): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    forEachMatch(text, CANDIDATE, countryCodes, ({ index }) => {
      const isApart = !isJoinedBefore(text, index) || /iban$/i.test(text.slice(index - 4, index));
      const end = isApart ? ibanEnd(text, index) : undefined;
      // An IBAN can begin inside a candidate that was not one.
      if (end === undefined) return index + 4;
      found.push({ entityType: 'IBAN_CODE', start: index, end, score: 1, validated: true });
      return end;
    });
    return found;
  },
};

/** The end of the IBAN that begins at `start`: as many characters as its country has, then no further one. */
function ibanEnd(text: string, start: number): number | undefined {
  const length = LENGTHS.get(text.slice(start, start + 2).toUpperCase());
  if (length === undefined) return undefined;
  let characters = '';
  let index = start;
  for (; index < text.length && characters.length < length; index++) {
    const character = text[index] as string;
    if (/[A-Za-z0-9]/.test(character)) characters += character;
    else if (!SEPARATOR.test(character)) return undefined;
  }
  if (characters.length < length || isJoinedAfter(text, index)) return undefined;
  return remainder97(characters.slice(4) + characters.slice(0, 4)) === 1 ? index : undefined;
}
