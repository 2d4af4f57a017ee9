import { existsSync, readFileSync } from 'node:fs';
import * as core from 'libphonenumber-js/core';
import * as phone from 'libphonenumber-js/max';
import { check } from 'recheck';
import { describe, expect, test } from 'vitest';
import {
  createRedactor,
  phoneNumberRecognizer,
  type PhoneNumberLibrary,
  type RecognizerResult,
} from '../../src/redaction/index.ts';
import { CANDIDATE } from '../../src/redaction/phone-number-recognizer.ts';
import { PATIENT } from './patterns.ts';

const IDS = new URL('../../../shared/data/ids.json', import.meta.url);
const hasIds = existsSync(IDS);
if (!hasIds) console.warn('skipped: the shared ids are not here');

const AT = { itemType: 'message', path: 'content[0].text' };

/** What the recognizer alone finds in a text. */
function finds(text: string, defaultCountry?: string, key?: string): readonly string[] {
  const recognizer = phoneNumberRecognizer({
    library: phone,
    ...(defaultCountry === undefined ? undefined : { defaultCountry }),
  });
  const results = recognizer.analyze(text, { ...AT, ...(key === undefined ? undefined : { key }) });
  return (results as readonly RecognizerResult[]).map(({ start, end }) => text.slice(start, end));
}

describe('phoneNumberRecognizer', () => {
  test.each([
    ['+44 20 7946 0958 and (+49) 30 901820.', ['+44 20 7946 0958', '(+49) 30 901820']],
    ['+44 (0)20 7946 0958 ext. 12', ['+44 (0)20 7946 0958 ext. 12']],
    ['not assigned: +44 00 0000 0000, +999 123 456 789', []],
    ['020 7946 0958 and 30 901820', []],
  ])('without a country it finds international numbers only: %s', (text, expected) => {
    expect(finds(text)).toEqual(expected);
  });

  test.each([
    ['GB', 'ring 020 7946 0958 now', ['020 7946 0958']],
    ['DE', 'Berlin 030-901820', ['030-901820']],
    ['FR', 'Paris : 01 42 68 53 00 / 01 42 68 53 01', ['01 42 68 53 00', '01 42 68 53 01']],
    ['US', '(415) 555-2671 ext. 12 or +44 20 7946 0958', ['(415) 555-2671 ext. 12', '+44 20 7946 0958']],
    ['US', 'phone: 4155552671', ['4155552671']],
  ])('with the country %s it finds its national numbers: %s', (country, text, expected) => {
    expect(finds(text, country)).toEqual(expected);
  });

  test.each([
    ['a bare run', 'Where is 4155552671?', undefined],
    ['a run after the word of a thing', 'tracking 415 555 2671', undefined],
    ['a run under the key of a thing', '415 555 2671', 'order_id'],
    ['a date', 'at 2024-01-15 12', undefined],
    ['a part of a name', 'hosted-eu-415-555-2671', undefined],
    ['an amount', 'EUR 415.555.2671,50', undefined],
  ])('with a country it leaves %s', (_what, text, key) => {
    expect(phone.findPhoneNumbersInText(text, { defaultCountry: 'US' })).toHaveLength(1);
    expect(finds(text, 'US', key)).toEqual([]);
  });

  test('under a phone key a bare run is a number', () => {
    expect(finds('4155552671', 'US', 'phone')).toEqual(['4155552671']);
  });

  test("in a run that is longer than the library's input, each number is found whole", () => {
    const numbers = Array.from({ length: 30 }, (_, index) => `020 7946 09${50 + index}`);
    for (const separator of [' / ', ' - ', '  ']) {
      expect(finds(numbers.join(separator), 'GB')).toEqual(numbers);
    }
  });

  test('through a redactor, national numbers are replaced and redacting is idempotent', async () => {
    const labelled = readFileSync(new URL('labelled.jsonl', import.meta.url), 'utf8')
      .trim()
      .split('\n');
    for (const defaultCountry of [undefined, 'US', 'DE']) {
      const recognizer = phoneNumberRecognizer({
        library: phone,
        ...(defaultCountry === undefined ? undefined : { defaultCountry }),
      });
      const redactor = createRedactor({ recognizers: [recognizer] });
      for (const line of labelled) {
        const once = await redactor.redactText((JSON.parse(line) as { text: string }).text);
        expect(await redactor.redactText(once)).toBe(once);
      }
      // A number that the built-in recognizer leaves.
      expect(await redactor.redactText('Büro 30 901820 in Berlin')).toBe(
        defaultCountry === 'DE' ? 'Büro <PHONE_NUMBER> in Berlin' : 'Büro 30 901820 in Berlin',
      );
    }
  });

  test("the library's input is bounded, and linear in the text", () => {
    const characters = (text: string): number => {
      let count = 0;
      const library: PhoneNumberLibrary = {
        findPhoneNumbersInText(piece, options) {
          expect(piece.length).toBeLessThanOrEqual(96);
          count += piece.length;
          return phone.findPhoneNumbersInText(piece, options as { defaultCountry?: 'GB' });
        },
        isSupportedCountry: (country) => phone.isSupportedCountry(country),
      };
      const recognizer = phoneNumberRecognizer({ library, defaultCountry: 'GB' });
      count = 0;
      void recognizer.analyze(text, AT);
      return count;
    };
    for (const seed of ['1 ', '020 7946 0958 ', '+', '1-', '+44 20 7946 0958', '(', '0']) {
      const [short, long] = [2_000, 16_000].map((size) => characters(seed.repeat(size / seed.length)));
      expect(long).toBeLessThanOrEqual(10 * (short as number) + 100);
      expect(long).toBeLessThan(4 * 16_000);
    }
  });

  test('its pattern is linear', async () => {
    for (const { source, flags } of [CANDIDATE.start, CANDIDATE.more]) {
      expect((await check(source, flags, { timeout: 60_000, ...PATIENT })).status).toBe('safe');
    }
  }, 70_000);

  test.each([
    ['nothing', undefined, 'undefined'],
    ['the default export', phone.default, 'a function'],
    ['a module without the functions', { findNumbers: phone.findNumbers }, 'an object'],
    ['the core, which has no metadata', core, 'an object'],
  ])('refuses %s as the library', (_what, library, got) => {
    expect(() => phoneNumberRecognizer({ library: library as unknown as PhoneNumberLibrary })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: `phoneNumberRecognizer: library must be the module of libphonenumber-js (import * as phone from 'libphonenumber-js/max'), got ${got}.`,
      }),
    );
  });

  test('refuses a country that the library does not know', () => {
    expect(() => phoneNumberRecognizer({ library: phone, defaultCountry: 'XX' })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message:
          "phoneNumberRecognizer: defaultCountry must be a country of libphonenumber-js, such as 'GB', got a string.",
      }),
    );
  });
});

test('the shared ids are here when continuous integration runs', () => {
  expect(hasIds || process.env['CI'] === undefined).toBe(true);
});

describe.runIf(hasIds)('over the ids of a shop', () => {
  const ids = Object.values(
    (hasIds ? JSON.parse(readFileSync(IDS, 'utf8')) : {}) as Record<string, string[]>,
  ).flat();

  test.each([undefined, 'US', 'GB', 'DE'])('no id in a sentence is a number, country %s', (country) => {
    for (const id of ids) {
      for (const text of [id, `Where is ${id}?`, `call ${id}`, `the phone ${id}, ${id}`, `${id} ${id}`]) {
        // Two ids with a space between them are two groups; with a country that is a way to write a number.
        if (country !== undefined && text === `${id} ${id}`) continue;
        expect(finds(text, country)).toEqual([]);
      }
    }
  });
});
