import { expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

const redactor = createRedactor();
const BODY = [
  'MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB',
  'aFDrBz9vFqU4yQ3f4Zx8YbT1b7jFqkq5kq9pT3x1Qm7oN0Yq2H1t5vXc8jK9L0aZ',
  'Qm7oN0Yq2H1t5vXc8jK9L0aZ',
];
const HEADER = '-----BEGIN RSA PRIVATE KEY-----';
const FOOTER = '-----END RSA PRIVATE KEY-----';

const QUOTATIONS: readonly [name: string, before: string, after: string][] = [
  ['an e-mail', '> ', ''],
  ['a comment', '# ', ''],
  ['a block comment', ' * ', ''],
  ['a row of a table', '| ', ' |'],
  ['code of Markdown', '`', '`'],
  ['a string of source code', '"', '\\n" +'],
  ['a string of Python', "'", "\\n'"],
  ['a list of strings', '"', '",'],
  ['lines that go on', '', '\\'],
  ['a diff', '+', ''],
  ['HTML with breaks', '', '<br>'],
  ['paragraphs of HTML', '<p>', '</p>'],
  ['a log of containers', 'web_1  | ', ''],
  ['a log with times', '2026-11-28T16:00:00Z INFO ', ''],
];

test.each(QUOTATIONS)('a private key in %s goes from header to footer', async (_name, before, after) => {
  const lines = [HEADER, ...BODY, FOOTER];
  const text = `see\n${lines.map((line) => before + line + after).join('\n')}\nend`;
  expect(await redactor.redactText(text)).toBe(`see\n${before}<PRIVATE_KEY>${after}\nend`);
});

test.each(QUOTATIONS.slice(0, 10))(
  'of a key that was cut off in %s no line of its body stays',
  async (_name, before, after) => {
    const text = [HEADER, ...BODY].map((line) => before + line + after).join('\n');
    expect(await redactor.redactText(text)).not.toMatch(/MII|aFD|Qm7/);
  },
);

test('two keys are two finds, and the text between them stays', async () => {
  const key = [HEADER, ...BODY, FOOTER].map((line) => `> ${line}`).join('\n');
  expect(await redactor.redactText(`${key}\n> and "that":\n${key}`)).toBe(
    '> <PRIVATE_KEY>\n> and "that":\n> <PRIVATE_KEY>',
  );
});

test.each([
  `const body = pem.replace('${HEADER}', '').replace('${FOOTER}', '').trim();`,
  `if (!pem.startsWith("${HEADER}")) fail();\nif (!pem.endsWith("${FOOTER}")) fail();`,
  `"${HEADER}" is a header; "-----END EC PRIVATE KEY-----" the footer of another kind than ${BODY[0]}`,
])('text around a header without a key stays: %s', async (text) => {
  expect(await redactor.redactText(text)).toBe(text.replace(HEADER, '<PRIVATE_KEY>'));
});

test('a footer farther than any key is long does not belong to the header', async () => {
  const text = `"${HEADER}";\n${'const value = { };\n'.repeat(2000)}"${BODY[0]} ${FOOTER}"`;
  expect(await redactor.redactText(text)).toBe(text.replace(HEADER, '<PRIVATE_KEY>'));
});
