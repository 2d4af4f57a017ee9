import { describe, expect, test } from 'vitest';
import { createRedactor, type OperatorContext, type RedactorOptions } from '../../src/redaction/index.ts';

// An escape stands for other text, or for none: its last letter is no part of the value or the label that follows it.

const COUNTRIES = ['AU', 'DE', 'ES', 'GB', 'IN', 'IT', 'PL', 'US'] as const;

/** What stands before a value and behind it, as a tool's output, a log, source and mail have it. */
const AROUND: Readonly<Record<string, readonly [before: string, after: string]>> = {
  'a line break': ['\\n', '\\n'],
  'a line break of two characters': ['\\r\\n', '\\r\\n'],
  'a tab': ['\\t', '\\t'],
  'a line break, escaped twice': ['\\\\n', '\\\\n'],
  'a byte in hexadecimal': ['\\x0a', '\\x0a'],
  'a byte in octal': ['\\012', '\\012'],
  'a code unit': ['\\u000a', '\\u000a'],
  'a code point': ['\\u{a}', '\\u{a}'],
  'a colour': ['\x1b[31m', '\x1b[0m'],
  'a colour of grep': ['\x1b[01;31m\x1b[K', '\x1b[m\x1b[K'],
  'a colour of tput': ['\x1b(B\x1b[31m', '\x1b(B\x1b[m'],
  'a colour as it is printed': ['^[[31m', '^[[0m'],
  'a colour in JSON': ['\\u001b[31m', '\\u001b[0m'],
  'a colour in source': ['\\x1b[31m', '\\x1b[0m'],
  'a colour in a shell': ['\\033[31m', '\\e[0m'],
  'quoted-printable': ['=3D', ' '],
  'percent-encoding': ['%0A', '%0A'],
  'a space of HTML': ['&nbsp;', '&nbsp;'],
};

const VALUES: readonly (readonly [text: string, redacted: string])[] = [
  ['4111111111111111', '<CREDIT_CARD>'],
  ['4111 1111 1111 1111', '<CREDIT_CARD>'],
  ['+14155552671', '<PHONE_NUMBER>'],
  ['415-555-2671', '<PHONE_NUMBER>'],
  ['203.0.113.77', '<IP_ADDRESS>'],
  ['2001:db8::1', '<IP_ADDRESS>'],
  ['DE89370400440532013000', '<IBAN_CODE>'],
  ['00:1b:44:11:3a:b7', '<MAC_ADDRESS>'],
  ['078-05-1120', '<US_SSN>'],
  ['ghp_16C7e42F292c6912E7710c838347Ae178B4a', '<API_KEY>'],
  ['AKIAIOSFODNN7QWERTYU', '<API_KEY>'],
  ['1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', '<CRYPTO>'],
  ['0x742d35Cc6634C0532925a3b844Bc454e4438f44e', '<CRYPTO>'],
  ['12345678Z', '<ES_NIF>'],
  ['RSSMRA85T10A562S', '<IT_FISCAL_CODE>'],
  ['ssn: 078051120', 'ssn: <US_SSN>'],
  ['phone: 4155552671', 'phone: <PHONE_NUMBER>'],
];

async function redactText(text: string, options: RedactorOptions = {}): Promise<string> {
  return createRedactor({ countries: COUNTRIES, ...options }).redactText(text);
}

describe.each(Object.entries(AROUND))('directly after %s', (_name, [before, after]) => {
  test.each(VALUES)('%s', async (text, redacted) => {
    expect(await redactText(`see ${before}${text}${after} end`)).toBe(`see ${before}${redacted}${after} end`);
  });

  test.each([
    ['jane@acme.com', '<EMAIL_ADDRESS>', 'jane@acme.com'],
    ['DB_PASSWORD=letmein', 'DB_PASSWORD=<PASSWORD>', 'letmein'],
    ['https://u:p4ssw0rd@h/', 'https://u:<PASSWORD_IN_URL>@h/', 'p4ssw0rd'],
  ])('%s', async (text, redacted, value) => {
    const values: string[] = [];
    const apply = (found: string, { entityType }: OperatorContext): string => {
      values.push(found);
      return `<${entityType}>`;
    };
    const written = await redactText(`see ${before}${text}${after} end`, {
      operators: { DEFAULT: { type: 'custom', apply } },
    });
    expect(written).not.toContain(value);
    // Behind `=` these digits can be those of an address.
    if (before === '=3D' || before === '%0A') return;
    expect(written).toBe(`see ${before}${redacted}${after} end`);
    expect(values).toEqual([value]);
  });
});

describe.each(Object.entries(AROUND))('a word directly after %s', (_name, [before, after]) => {
  test.each([
    'version 10.4.2.1',
    'firmware 4.2.1.17 to 4.2.1.18',
    'tracking 4111111111111111',
    'order 415-555-2671',
  ])('says that it is no find: %s', async (words) => {
    for (const text of [
      `see ${before}${words}`,
      `see ${before}${words} end`,
      `${before}${words}${after} end`,
    ]) {
      expect(await redactText(text)).toBe(text);
    }
  });

  test('does not say so of other values', async () => {
    const text = `see ${before}version 10.4.2.1 of jane@acme.com, 203.0.113.77 and 4111 1111 1111 1111`;
    expect(await redactText(text)).toBe(
      `see ${before}version 10.4.2.1 of <EMAIL_ADDRESS>, <IP_ADDRESS> and <CREDIT_CARD>`,
    );
  });
});

test.each([
  ['scheme://us\\xA0er:pa\\uD7FFss1@acme.com/x', 'pa\\uD7FFss1'],
  ['scheme://us\\u2028er:p4ssw0rd@acme', 'p4ssw0rd'],
  ['see \\nmail of jane\\u2028@acme.com, jane@acme\\x5f.com, jane@acme.com', 'jane@acme.com'],
  ['D:\\rid 415-555-2671', '415-555-2671'],
  ['a\\tpassword of x: DB_PASSWORD=letmein', 'letmein'],
])('what an escape cuts stays a find: %s', async (text, value) => {
  expect(await redactText(text)).not.toContain(value);
});

test('a number that is longer without its colours is replaced', async () => {
  const text = '\x1b[1morder 4111111111111111\x1b[0m1';
  expect(await redactText(text)).not.toContain('4111111111111111');
});

test('a value is found by its own clue alone', async () => {
  const text = 'see \\tDE89370400440532013000';
  expect(await redactText(text, { entities: ['IBAN_CODE'], countries: [] })).toBe('see \\t<IBAN_CODE>');
});

test.each([
  ['Response: {"note":"SSN list:\\n078051120"}', 'Response: {"note":"SSN list:\\n<US_SSN>"}'],
  ['log "Phone:\\n\\n4155552671"', 'log "Phone:\\n\\n<PHONE_NUMBER>"'],
  ["repr: 'Jane\\n4111 1111 1111 1111\\n12/25'", "repr: 'Jane\\n<CREDIT_CARD>\\n12/25'"],
  ['\x1b[1mPhone:\x1b[0m 4155552671', '\x1b[1mPhone:\x1b[0m <PHONE_NUMBER>'],
  ['jane@\x1b[31macme\x1b[0m.com', '<EMAIL_ADDRESS>'],
  [
    'data="{&quot;password&quot;:&quot;letmein&quot;}"',
    'data="{&quot;password&quot;:&quot;<PASSWORD>&quot;}"',
  ],
])('a label and its value apart by escapes: %j', async (text, redacted) => {
  expect(await redactText(text)).toBe(redacted);
});

test('a phrase of denyList, and Base64 by option', async () => {
  expect(await redactText('log "a\\nJane Roe"', { denyList: { PERSON: ['Jane Roe'] } })).toBe(
    'log "a\\n<PERSON>"',
  );
  const encoded = Buffer.from('my mail is jane@acme.com!!').toString('base64');
  const decode = ['percent', 'base64'] as const;
  expect(await redactText(`log "a\\n${encoded}"`, { decode })).toBe('log "a\\n<EMAIL_ADDRESS>"');
  const quoted = `value "${encodeURIComponent(encoded)}"`;
  expect(await redactText(quoted, { decode })).not.toContain(encodeURIComponent(encoded));
});

describe('what an escape stands for is folded as other text is', () => {
  const FORMS: Readonly<Record<string, (text: string) => string>> = {
    'percent-encoding': encodeURIComponent,
    'percent-encoding, twice': (text) => encodeURIComponent(encodeURIComponent(text)),
    'bytes in hexadecimal': (text) => encodeURIComponent(text).replaceAll('%', '\\x'),
    'character references': (text) =>
      text.replace(/[^\w@.]/gu, (character) => `&#${character.codePointAt(0) as number};`),
    'code units': (text) =>
      text.replace(/[^\w@.]/gu, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  };
  const VARIANTS: readonly (readonly [text: string, redacted: string])[] = [
    ['4111\u00a01111\u00a01111\u00a01111', '<CREDIT_CARD>'],
    ['4111\u20111111\u20111111\u20111111', '<CREDIT_CARD>'],
    ['4111\u200b1111\u200b1111\u200b1111', '<CREDIT_CARD>'],
    ['４１１１１１１１１１１１１１１１', '<CREDIT_CARD>'],
    ['٤١١١١١١١١١١١١١١١', '<CREDIT_CARD>'],
    ['jane\u200b@acme\u00ad.com', '<EMAIL_ADDRESS>'],
    ['jane＠acme.com', '<EMAIL_ADDRESS>'],
  ];
  describe.each(Object.entries(FORMS))('%s', (_name, encode) => {
    test.each(VARIANTS)('%s', async (text, redacted) => {
      expect(await redactText(`see ${encode(text)} end`)).toBe(`see ${redacted} end`);
    });
  });

  test.each([
    ['a space of HTML', '4111&nbsp;1111&nbsp;1111&nbsp;1111', '<CREDIT_CARD>'],
    ['an at sign of HTML', 'jane&commat;acme.com', '<EMAIL_ADDRESS>'],
    ['a character of Latin-1', "'4111\\xa01111\\xa01111\\xa01111'", "'<CREDIT_CARD>'"],
  ])('%s', async (_name, text, redacted) => {
    expect(await redactText(text)).toBe(redacted);
  });
});

test.each([
  'C:\\new\\table\\readme.txt and C:\\tools\\node\\v10.1.2.3\\bin',
  'C:\\xampp\\x64\\u2024\\0123 holds 1234567 files',
  'print("\\n\\n"); split("\\r\\n"); /^\\d{4}\\t[^[:alpha:]]\\n$/',
  '\\begin{table} \\textbf{4155552671} \\nu \\rho \\emph{x}',
  'order:\\n4155552671\\ntracking:\\n4111111111111111',
  'node\\n version 10.4.2.1\\n',
  '\x1b[32mok\x1b[0m order \x1b[1m4155552671\x1b[0m in \x1b[33m1234567\x1b[0m ms',
  '?view=3D&x=20&company=7&quote=1234567&name=x',
  'password:\\nrequired\\n',
  '\\x90\\x31\\xc0\\x50\\x68\\x2f\\x2f\\x73\\x68',
])('harmless text stays: %j', async (text) => {
  expect(await redactText(text)).toBe(text);
});
