import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

// A form sends a space as `+`. Elsewhere a plus adds, or is a part of Base64.

const redactor = createRedactor({ countries: ['US', 'DE'] });

const FIELDS: readonly (readonly [text: string, redacted: string])[] = [
  ['phone=415+555+2671', 'phone=<PHONE_NUMBER>'],
  ['phone=%2B1+415+555+2671', 'phone=<PHONE_NUMBER>'],
  ['tel=%2B44+%280%2920+7946+0958', 'tel=<PHONE_NUMBER>'],
  ['phone=(415)+555-2671', 'phone=<PHONE_NUMBER>'],
  ['card=4111+1111+1111+1111', 'card=<CREDIT_CARD>'],
  ['iban=DE89+3704+0044+0532+0130+00', 'iban=<IBAN_CODE>'],
  ['note=ssn+078-05-1120', 'note=ssn+<US_SSN>'],
  ['q=call+me+at+4155552671', 'q=call+me+at+<PHONE_NUMBER>'],
  ['q=the+password+is+hunter2x+today', 'q=the+password+is+<PASSWORD>+today'],
  ['q=server+203.0.113.77+is+down', 'q=server+<IP_ADDRESS>+is+down'],
  ['user[email]=Ada+%3Cada%40acme.com%3E', 'user[email]=Ada+%3C<EMAIL_ADDRESS>%3E'],
];

const AROUND: Readonly<Record<string, readonly [before: string, after: string]>> = {
  'a text of its own': ['', ''],
  'a line of its own': ['', '\r\n'],
  'a query': ['see https://a.test/x?', ' there'],
  'a later field of a query': ['https://a.test/x?a=b&', ''],
  'the first field of a form': ['', '&submit=Send+it'],
  'the last field of a form': ['name=Ada+Lovelace&', ''],
  'a form in prose': ['sent name=Ada+Lovelace&', '&x=1, then waited'],
  'a form in JSON in prose': ['log {"body":"a=1&', '"}'],
  'an option of curl': ["curl -d '", "' https://a.test/"],
};

describe.each(Object.entries(AROUND))('in %s', (_name, [before, after]) => {
  test.each(FIELDS)('%s', async (text, redacted) => {
    expect(await redactor.redactText(`${before}${text}${after}`)).toBe(`${before}${redacted}${after}`);
  });
});

test('in JSON text', async () => {
  const text = JSON.stringify({ body: 'x=1&phone=415+555+2671', count: 2 });
  expect(await redactor.redactText(text)).toBe(
    JSON.stringify({ body: 'x=1&phone=<PHONE_NUMBER>', count: 2 }),
  );
});

test('a space of a form is found in any value of many', async () => {
  const fields = Array.from({ length: 200 }, (_, index) => `f${index}=a+b`).join('&');
  expect(await redactor.redactText(`${fields}&phone=415+555+2671`)).toBe(`${fields}&phone=<PHONE_NUMBER>`);
});

test.each([
  'let x = 415+555+2671;',
  'x=415+555+2671; y=1',
  'total=4111+1111+1111+1111 # EUR',
  'if (a=415+555+2671&b) return',
  'a+=415+555+2671&&b',
  '?q=1+2+3&r=a+b+c&n=2026+11+28',
  'signature=Qm+9zE+x41+5555+2671/ab==',
  '?state=ab12+cd34/ef56+gh78ij90kl12==&code=1',
  'order_id=415+555+2671&x=1',
])('harmless: %s', async (text) => {
  expect(await redactor.redactText(text)).toBe(text);
});

test('decode: [] reads a plus as a plus', async () => {
  const text = 'x=1&phone=415+555+2671';
  expect(await createRedactor({ decode: [] }).redactText(text)).toBe(text);
});
