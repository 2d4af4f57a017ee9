import { array, assert, asyncProperty, boolean, constantFrom, nat, tuple, type Arbitrary } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { remainder97 } from '../../src/redaction/checksums.ts';
import { createRedactor } from '../../src/redaction/index.ts';
import { rounds } from '../support/soak.ts';

// What is found goes whole: a find that ends within a longer run of its own alphabet takes the run. After redaction
// neither half of a planted value stands in the text.

const redactor = createRedactor();
const numRuns = rounds(300, 20_000);

const characters = (alphabet: string, minLength: number, maxLength: number): Arbitrary<string> =>
  array(constantFrom(...alphabet.split('')), { minLength, maxLength }).map((list) => list.join(''));
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const ALPHANUMERIC = `${LOWER}ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789`;
const BASE64URL = `${ALPHANUMERIC}-_`;

/** RFC 5322's atext without what separates in queries, paths, tables and code: `=`, `/`, `?`, `{`, `|`, `}`, `` ` ``. */
const local = tuple(
  characters(ALPHANUMERIC, 1, 4),
  characters(`${ALPHANUMERIC}!#$%&'*+-^_~.`, 4, 40),
  characters(ALPHANUMERIC, 1, 4),
)
  .map((parts) => parts.join(''))
  .filter((text) => !/%[0-9a-f]{2}|\*\*|~~|''/i.test(text));
const domain = tuple(characters(LOWER, 3, 12), constantFrom('com', 'org', 'co.uk', 'de', 'museum')).map((p) =>
  p.join('.'),
);
const email = tuple(local, domain).map(([user, host]) => `${user}@${host}`);
const returnPath = tuple(
  constantFrom('bounce+', 'bounces-', 'list+x-', 'SRS0=ab1=tt=', 'prvs=1234abcdef='),
  characters(LOWER, 4, 60),
  domain,
  domain,
).map(([tag, user, inner, outer]) =>
  tag.startsWith('SRS')
    ? `${tag}${inner}=${user}@${outer}`
    : tag.startsWith('prvs')
      ? `${tag}${user}@${inner}`
      : `${tag}${user}=${inner}@${outer}`,
);
const key = tuple(
  constantFrom(
    'sk-',
    'sk-proj-',
    'sk-ant-api03-',
    'ghp_',
    'glpat-',
    'xoxb-',
    'fw_',
    'tvly-',
    'github_pat_',
    'hvs.',
  ),
  characters(ALPHANUMERIC, 36, 60),
  constantFrom('', '.', '~', '-', '_'),
  characters(ALPHANUMERIC, 6, 300),
)
  .map(([prefix, body, joint, rest]) => `${prefix}a1B2c3D4${body}${joint === '' ? '' : joint + rest}`)
  .filter((text) => !/x{6}|your/i.test(text) && !(text.startsWith('fw_') && /_/.test(text.slice(3))));
const token = tuple(
  constantFrom(2, 3, 5),
  boolean(),
  characters(BASE64URL, 8, 40),
  array(characters(ALPHANUMERIC, 8, 120), { minLength: 5, maxLength: 5 }),
).map(([parts, isDirect, header, bodies]) =>
  [
    `eyJ${header}`,
    ...bodies.slice(1, parts).map((body, index) => (isDirect && parts === 5 && index === 0 ? '' : body)),
  ].join('.'),
);
const iban = tuple(
  characters('0123456789', 18, 18),
  constantFrom('', ' ', '-'),
  constantFrom('', '\n', '\r\n', '\n    ', '\n> '),
  nat({ max: 4 }),
).map(([body, gap, lineBreak, place]) => {
  const check = String(98 - remainder97(`${body}DE00`)).padStart(2, '0');
  const groups = `DE${check}${body}`.match(/.{1,4}/g) as string[];
  return groups
    .map(
      (group, index) => group + (index === groups.length - 1 ? '' : index === place ? lineBreak || gap : gap),
    )
    .join('');
});
const phone = tuple(
  constantFrom('+49', '0049', '+44', '+81', '+7', '+55'),
  characters('123456789', 9, 9),
  constantFrom(' ', '-', '.', ' (0)'),
  constantFrom('', ' x12', ' ext. 345'),
).map(
  ([code, digits, gap, extension]) =>
    `${code}${gap}${digits.slice(0, 3)}${gap.slice(0, 1)}${digits.slice(3)}${extension}`,
);
const password = tuple(
  constantFrom('https', 'postgres', 'mongodb+srv', 'redis'),
  characters(`${ALPHANUMERIC}!$%&*+,-.;=@^_~`, 8, 80),
)
  .filter(([, text]) => /[A-Za-z]/.test(text))
  .map(([scheme, text]) => ({ text: `${scheme}://app:${text}@db.acme.com/x`, value: text }));
const named = tuple(
  constantFrom('password: ', 'DB_PASSWORD=', '"password": "', 'token=', 'client_secret: ', 'my password is '),
  characters(`${ALPHANUMERIC}.~+-_`, 24, 300),
)
  .map(([name, body]) => ({
    text: `${name}a1B2c3D4e5${body}9${name.endsWith('"') ? '"' : ''}`,
    value: `a1B2c3D4e5${body}9`,
  }))
  .filter(({ value }) => !/x{6}|your|(?![A-Za-z0-9])(.)\1{3}/i.test(value));

const surroundings = constantFrom(
  ['', ''],
  ['see ', ' now'],
  ['联系', '谢谢'],
  ['(', ').'],
  ['"', '",'],
  ['\n', '\n'],
  ['to: <', '>'],
  ['说：', '。'] as const,
);

describe('no part of a value stays', () => {
  test.each<[string, Arbitrary<string | { text: string; value: string }>]>([
    ['e-mail addresses with any character of a local part', email],
    ['return paths with an address inside', returnPath],
    ['keys that go on', key],
    ['tokens of two, three and five parts', token],
    ['IBANs in groups and over two lines', iban],
    ['telephone numbers', phone],
    ['passwords in URLs', password],
    ['secrets by name', named],
  ])(
    '%s',
    async (_name, planted) => {
      const property = asyncProperty(planted, surroundings, async (given, [before, after]) => {
        const { text, value } = typeof given === 'string' ? { text: given, value: given } : given;
        const redacted = await redactor.redactText(before + text + after);
        const half = value.length >> 1;
        const halves = [value.slice(0, half), value.slice(half)];
        return halves.every((piece) => piece.length < 6 || !redacted.includes(piece));
      });
      await expect(assert(property, { numRuns })).resolves.toBeUndefined();
    },
    120_000,
  );
});

describe('separators end a find, and are declared', () => {
  test.each([
    ['cc=jane@acme.com&bcc=joe@acme.com', 'cc=<EMAIL_ADDRESS>&bcc=<EMAIL_ADDRESS>'],
    ['https://acme.test/users/jane@acme.com', 'https://acme.test/users/<EMAIL_ADDRESS>'],
    ['|jane@acme.com|joe@acme.com|', '|<EMAIL_ADDRESS>|<EMAIL_ADDRESS>|'],
    ['**jane@acme.com** ~~joe@acme.com~~', '**<EMAIL_ADDRESS>** ~~<EMAIL_ADDRESS>~~'],
    ['q=x%20jane@acme.com', 'q=x%20<EMAIL_ADDRESS>'],
    [
      `https://api.acme.test/bot/sk-${'a1B2c3D4e5F6'.repeat(3)}/send`,
      'https://api.acme.test/bot/<API_KEY>/send',
    ],
    [`?password=Tr0ub4dor3&user=ada`, '?password=<PASSWORD>&user=ada'],
  ])('%s', async (text, expected) => expect(await redactor.redactText(text)).toBe(expected));
});
