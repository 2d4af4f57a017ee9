import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

// Signs that are joined to a value and are no part of it: Markdown's underscores, the sign of a line of a diff.

const redactor = createRedactor({ countries: ['ES', 'DE', 'US'] });

describe.each(['_', '__', '___'])('emphasized by %s', (mark) => {
  test.each([
    ['4111111111111111', '<CREDIT_CARD>'],
    ['4111 1111 1111 1111', '<CREDIT_CARD>'],
    ['+14155552671', '<PHONE_NUMBER>'],
    ['415-555-2671', '<PHONE_NUMBER>'],
    ['203.0.113.77', '<IP_ADDRESS>'],
    ['2001:db8::1', '<IP_ADDRESS>'],
    ['DE89370400440532013000', '<IBAN_CODE>'],
    ['00:1b:44:11:3a:b7', '<MAC_ADDRESS>'],
    ['078-05-1120', '<US_SSN>'],
    ['12345678Z', '<ES_NIF>'],
    ['card 4111111111111111', 'card <CREDIT_CARD>'],
    ['4111111111111111 is mine', '<CREDIT_CARD> is mine'],
    ['phone: 4155552671', 'phone: <PHONE_NUMBER>'],
    ['0x742d35Cc6634C0532925a3b844Bc454e4438f44e', '<CRYPTO>'],
  ])('%s', async (text, redacted) => {
    for (const [before, after] of [
      ['', ''],
      ['see ', ' there'],
      ['(', ').'],
      ['- a\n- ', '\n- b'],
    ] as const) {
      expect(await redactor.redactText(before + mark + text + mark + after)).toBe(
        before + mark + redacted + mark + after,
      );
    }
  });
});

test('a key between underscores goes with those of its own alphabet', async () => {
  expect(await redactor.redactText('_AKIAIOSFODNN7QWERTYU_')).not.toContain('AKIA');
  expect(await redactor.redactText('__ghp_16C7e42F292c6912E7710c838347Ae178B4a__')).not.toContain('ghp_16');
});

test.each([
  'item_4111111111111111',
  'item_4111111111111111_',
  '_4111111111111111',
  '4111111111111111_',
  '_4111111111111111_x',
  'x_4111111111111111__',
  '_4111111111111111\nb_',
  'credit_card_4111111111111111 and _b_',
  'x__415-555-2671__y',
])('an underscore that does not emphasize joins: %j', async (text) => {
  expect(await redactor.redactText(text)).toBe(text);
});

test.each([
  ['++14155550132', '+<PHONE_NUMBER>'],
  ['-+14155550132', '-<PHONE_NUMBER>'],
  ['+++14155550132', '++<PHONE_NUMBER>'],
  ['-++14155550132', '-+<PHONE_NUMBER>'],
  ['@@ -1 +1 @@\n-+442079460958\n++44 20 7946 0959', '@@ -1 +1 @@\n-<PHONE_NUMBER>\n+<PHONE_NUMBER>'],
])('in a line of a diff: %j', async (text, redacted) => {
  expect(await redactor.redactText(text)).toBe(redacted);
});

test.each(['1++14155550132', 'i++14155550132', 'a\n1 ++14155550132', '#+14155550132'])(
  'within a line such signs join: %j',
  async (text) => {
    expect(await redactor.redactText(text)).toBe(text);
  },
);

describe('full stops of other scripts in the host of an address', () => {
  const STOPS = ['\u3002', '\uff0e', '\uff61'];

  test.each(STOPS)('%s', async (stop) => {
    for (const [text, redacted] of [
      [`jane@acme${stop}com`, '<EMAIL_ADDRESS>'],
      [`jane@mail${stop}acme${stop}com`, '<EMAIL_ADDRESS>'],
      [`jane@acme${stop}co${stop}uk`, '<EMAIL_ADDRESS>'],
      [`jane@例え${stop}jp`, '<EMAIL_ADDRESS>'],
      [`mail jane@acme${stop}com now`, 'mail <EMAIL_ADDRESS> now'],
      [`https://ada:p4ssw0rd@acme${stop}com/`, `https://ada:<PASSWORD_IN_URL>@acme${stop}com/`],
    ] as const) {
      expect(await redactor.redactText(text)).toBe(redacted);
    }
  });

  test.each([
    ['邮箱jane@acme.com。谢谢', '邮箱<EMAIL_ADDRESS>。谢谢'],
    ['邮箱jane@acme.com。de是', '邮箱<EMAIL_ADDRESS>。de是'],
    ['jane@acme。com。谢谢', '<EMAIL_ADDRESS>。谢谢'],
    ['jane@acme.com。', '<EMAIL_ADDRESS>。'],
    ['@acme。谢谢', '@acme。谢谢'],
    ['联系@小王。好的', '联系@小王。好的'],
  ])('one that ends a sentence does not separate: %s', async (text, redacted) => {
    expect(await redactor.redactText(text)).toBe(redacted);
  });
});
