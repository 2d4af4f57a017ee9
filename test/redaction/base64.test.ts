import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

// The characters of Base64 also stand around it: `=` assigns, `/` is a segment of a path, `_` and `-` join a name and an id.

const redactor = createRedactor({ decode: ['percent', 'base64'] });

const TEXTS = [
  'mail jane@acme.com now, please',
  'pay 4111111111111111 >>>???~~~ by card',
  'Grüße von jane@acme.com: ÿÿ??>>',
];

const AROUND: Readonly<Record<string, readonly [before: string, after: string]>> = {
  'a space': ['see ', ' there'],
  'an assignment': ['state=', ''],
  'a comparison': ['state==', ';'],
  'a query': ['https://a.test/cb?state=', '&code=1'],
  'an option': ['--data=', ' -v'],
  'an attribute': ['value="', '"'],
  'a path': ['/v1/items/', ''],
  'the end of a URL': ['https://a.test/v1/', ' (gone)'],
  'a segment of a URL': ['https://a.test/v1/', '/edit?x=1'],
  'a name with underscores': ['next_cursor_', ''],
  'a name with hyphens': ['cursor-', '.'],
  'a line of a diff': ['+', '\n-x'],
  'a data URL': ['data:text/plain;base64,', '"'],
};

const ALPHABETS = ['base64', 'base64url'] as const;

describe.each(Object.entries(AROUND))('encoded text in %s is searched', (_name, [before, after]) => {
  test.each(ALPHABETS.flatMap((alphabet) => TEXTS.map((text) => [alphabet, text] as const)))(
    '%s of %s',
    async (alphabet, text) => {
      const encoded = Buffer.from(text).toString(alphabet);
      const redacted = await redactor.redactText(`${before}${encoded}${after}`);
      expect(redacted).toMatch(/^[^<]*<(?:EMAIL_ADDRESS|CREDIT_CARD)>[^<]*$/);
      expect(redacted.replace(/<\w+>/, '')).toBe(before + after);
    },
  );
});

test('two encoded texts beside each other are two', async () => {
  const [one, two] = TEXTS.slice(0, 2).map((text) => Buffer.from(text).toString('base64url'));
  for (const between of ['/', '=', '&b=', '.', '==']) {
    expect(await redactor.redactText(`a=${one}${between}${two}`)).toBe(
      `a=<EMAIL_ADDRESS>${between.startsWith('=') ? between.slice(Math.min(2, between.length)) : between}<CREDIT_CARD>`,
    );
  }
});

test('what decodes to nothing readable stays, wherever it stands', async () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => (index * 167 + 13) % 256);
  for (const alphabet of ALPHABETS) {
    for (const [before, after] of Object.values(AROUND)) {
      const text = `${before}${Buffer.from(bytes).toString(alphabet)}${after}`;
      expect(await redactor.redactText(text)).toBe(text);
    }
  }
});

test('searched text behind a separator does not count as not searched', async () => {
  const long = Buffer.from('nothing to find 2026 HERE. '.repeat(40)).toString('base64url');
  const picture = Buffer.from(Array.from({ length: 600 }, (_, index) => (index * 167) % 256)).toString(
    'base64',
  );
  const redact = async (content: string): Promise<readonly number[]> => {
    const { unsearched } = await redactor.redactItems([{ type: 'message', role: 'user', content }]);
    return unsearched.map(({ length }) => length);
  };
  for (const [before, after] of Object.values(AROUND)) {
    expect(await redact(`jane@acme.com ${before}${long}${after}`)).toEqual([]);
    expect(await redact(`jane@acme.com ${before}${picture}${after}`)).toHaveLength(1);
  }
});
