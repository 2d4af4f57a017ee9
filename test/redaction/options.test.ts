import { array, assert, asyncProperty, constantFrom, jsonValue, oneof, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redact, type RedactOptions } from '../../src/layers/redact.ts';
import { createRedactor } from '../../src/redaction/index.ts';
import { textOf, throughRead, throughWrite, userMessage } from './layer-call.ts';

const KEY = new Uint8Array(32).fill(7);

async function written(text: string, options: RedactOptions): Promise<string> {
  const layer = redact(options);
  const stored = await throughWrite(layer, userMessage(text));
  expect(await throughWrite(layer, stored)).toEqual(stored);
  return textOf(stored);
}

describe('operators', () => {
  test('redact removes the value', async () => {
    expect(await written('to jane@acme.com.', { operators: { DEFAULT: 'redact' } })).toBe('to .');
  });

  test('keep does not change the value and reports it once', async () => {
    const counts: unknown[] = [];
    const options: RedactOptions = {
      operators: { EMAIL_ADDRESS: 'keep' },
      onRedaction: (report) => void counts.push(report.counts),
    };
    const layer = redact(options);
    const item = userMessage('jane%40acme.com and 4111111111111111');
    expect(textOf(await throughWrite(layer, item))).toBe('jane%40acme.com and <CREDIT_CARD>');
    expect(counts).toEqual([{ EMAIL_ADDRESS: 1, CREDIT_CARD: 1 }]);
  });

  test('hash is keyed, and equal for all notations of a value', async () => {
    const operators = { DEFAULT: { type: 'hash', key: KEY } } as const;
    const hashed = await written('Jane@acme.com jane@ACME.com 4111 1111 1111 1111 4111111111111111', {
      operators,
    });
    const [first, second, third, fourth] = hashed.split(' ');
    expect(first).toMatch(/^<EMAIL_ADDRESS#[0-9a-f]{32}>$/);
    expect(second).toBe(first);
    expect(fourth).toBe(third);
    const other = { DEFAULT: { type: 'hash', key: new Uint8Array(32).fill(8) } } as const;
    expect(await written('Jane@acme.com', { operators: other })).not.toBe(first);
  });

  test('pseudonymize gives one token for one value, in every process', async () => {
    const jwk = { kty: 'oct', k: Buffer.from(KEY).toString('base64url') } as const;
    const one = await written('jane@acme.com', {
      operators: { DEFAULT: { type: 'pseudonymize', key: KEY } },
    });
    const two = await written('JANE@acme.com', {
      operators: { DEFAULT: { type: 'pseudonymize', key: jwk } },
    });
    expect(one).toMatch(/^<EMAIL_ADDRESS_[bcdfghjklmnpqrst]{20}>$/);
    expect(two).toBe(one);
  });

  test('block refuses the write, names the location and not the value', async () => {
    const layer = redact({ operators: { CREDIT_CARD: 'block' }, when: 'both' });
    const item = userMessage('pay 4111 1111 1111 1111');
    await expect(async () => throughWrite(layer, item)).rejects.toMatchObject({
      code: 'ERR_PII_BLOCKED',
      message:
        'redact: content[0].text of a message item contains CREDIT_CARD, whose operator is block. Remove it; nothing was stored.',
    });
    expect(textOf(await throughRead(layer, item))).toBe('pay <CREDIT_CARD>');
    expect(layer.compare?.(item)).toEqual(userMessage('pay <CREDIT_CARD>'));
  });

  test('custom gets the value and its location, and may be asynchronous', async () => {
    const shout = (value: string, context: { entityType: string; path: string }): string =>
      `[${context.entityType} at ${context.path}: ${value.length}]`;
    expect(await written('jane@acme.com', { operators: { DEFAULT: { type: 'custom', apply: shout } } })).toBe(
      '[EMAIL_ADDRESS at content[0].text: 13]',
    );
    const later = redact({ operators: { DEFAULT: { type: 'custom', apply: async () => '[gone]' } } });
    expect(textOf(await throughWrite(later, userMessage('jane@acme.com')))).toBe('[gone]');
    expect(later.compare?.(userMessage('jane@acme.com'))).toEqual(userMessage(''));
  });

  test.each([
    ['postgres://app:s3cr3t@db.acme.com/x', 's3cr3t'],
    ['mail jane@acme.com', 'jane@acme.com'],
    ['password: Tr0ub4dor3', 'Tr0ub4dor3'],
    ['pay 4111 1111 1111 1111 now', '4111 1111 1111 1111'],
  ])(
    'custom gets each find once and never what it made, though it looks like one: %s',
    async (text, value) => {
      const seen: string[] = [];
      // Each output is a find again, and so is what stands beside it.
      const apply = (given: string): string => (seen.push(given), `${given}1`);
      const entities = ['PASSWORD_IN_URL', 'PASSWORD', 'EMAIL_ADDRESS', 'CREDIT_CARD'];
      const operators = Object.fromEntries(
        entities.map((entity) => [entity, { type: 'custom' as const, apply }]),
      );
      const redactor = createRedactor({ operators });
      const { items } = await redactor.redactItems([
        userMessage(`${text} and ${text}, from 203.0.113.77`),
        {
          type: 'function_call',
          callId: 'c',
          name: 'f',
          arguments: JSON.stringify({ note: text, list: [text] }),
        },
      ]);
      expect(seen).toEqual([value, value, value, value]);
      expect(JSON.stringify(items).split(`${value}1`)).toHaveLength(5);
      expect(JSON.stringify(items)).toContain('<IP_ADDRESS>');
    },
  );

  test.each([
    [{ type: 'hash' }, 'hash'],
    [{ type: 'pseudonymize', key: 'secret' }, 'a password'],
    [{ type: 'hash', key: new Uint8Array(8) }, 'too short'],
  ])('a key is required: %j', (operator, _why) => {
    expect(() => redact({ operators: { DEFAULT: operator as never } })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(
          'operators.DEFAULT.key must be a Uint8Array of at least 16 bytes',
        ) as string,
      }),
    );
  });
});

describe('lists', () => {
  test('allowed values stay, in any case, by text or by a pattern of the whole value', async () => {
    const allowList = ['Support@acme.com', /.*@example\.com/];
    expect(await written('SUPPORT@acme.com a@example.com a@example.com.evil.org', { allowList })).toBe(
      'SUPPORT@acme.com a@example.com <EMAIL_ADDRESS>',
    );
  });

  test('denied values are replaced, as whole words', async () => {
    const denyList = { PERSON: ['Jane Roe', 'Jane', 'Bob', '@janeroe'], PROJECT: ['Blue Heron (2)'] };
    expect(await written('JANE ROE, Janet, bob! @JaneRoe Blue Heron (2)', { denyList })).toBe(
      '<PERSON>, Janet, <PERSON>! <PERSON> <PROJECT>',
    );
  });

  test.each([
    ['张伟', '我是张伟吗', '我是<PERSON>吗'],
    ['田中太郎', '私は田中太郎です', '私は<PERSON>です'],
    ['김철수', '김철수입니다', '<PERSON>입니다'],
    ['สมชาย', 'คุณสมชายครับ', 'คุณ<PERSON>ครับ'],
    ['Acme', 'Acme社 Acme입니다', '<PERSON>社 <PERSON>입니다'],
    ['Иван', 'Иван, Иванов', '<PERSON>, Иванов'],
    ['علی\u200cرضا', 'نام او علی\u200cرضا است', 'نام او <PERSON> است'],
    ['Jean–Luc', 'Jean–Luc Jean-Luc', '<PERSON> <PERSON>'],
    ['co\u00adop Nord', 'co\u00adop Nord, coop nord', '<PERSON>, <PERSON>'],
    ['شماره ١٢٣', 'شماره ١٢٣ شماره 123', '<PERSON> <PERSON>'],
    ['Zoe\u0308', 'Zoë Zoe\u0308', '<PERSON> <PERSON>'],
    ['İnci Şahin', 'İnci Şahin, inci şahin, İNCİ ŞAHİN', '<PERSON>, <PERSON>, <PERSON>'],
    ['Γιώργος', 'ΓΙΏΡΓΟΣ, Γιώργος', '<PERSON>, <PERSON>'],
    ['Jane Roe', 'İ Jane  Roe, jane\nroe, Jane\t\r\n Roe', 'İ <PERSON>, <PERSON>, <PERSON>'],
    ['Jane Roe', 'JaneRoe Jane, Roe Janet Roe', 'JaneRoe Jane, Roe Janet Roe'],
    ['Ann', 'Anna Hannah Ann2 Annß', 'Anna Hannah Ann2 Annß'],
  ])('a denied phrase is found as people write it: %s in %j', async (phrase, text, redacted) => {
    expect(await written(text, { denyList: { PERSON: [phrase] } })).toBe(redacted);
  });

  test('an allowed value is compared as values are, whatever its dashes and invisible characters', async () => {
    const allowList = ['jean–luc@acme.com', 'co\u00adop@acme.com'];
    expect(await written('jean-luc@acme.com coop@acme.com', { allowList })).toBe(
      'jean-luc@acme.com coop@acme.com',
    );
  });
});

describe('encodings', () => {
  test.each([
    ['https://x.test/?email=jane%40acme.com&n=1', 'https://x.test/?email=<EMAIL_ADDRESS>&n=1'],
    ['twice: jane%2540acme.com', 'twice: <EMAIL_ADDRESS>'],
    ['card=4111%201111%201111%201111', 'card=<CREDIT_CARD>'],
    ['j%C3%B6hn%40acme.com', '<EMAIL_ADDRESS>'],
    ['cut JSON {"to":"jane\\u0040acme.com', 'cut JSON {"to":"<EMAIL_ADDRESS>'],
    ['jane&#64;acme.com jane&#x40;acme.com', '<EMAIL_ADDRESS> <EMAIL_ADDRESS>'],
    ['100% sure, %zz %C3 %E0%80%80', '100% sure, %zz %C3 %E0%80%80'],
  ])('%s', async (before, after) => expect(await written(before, {})).toBe(after));

  test('base64 by option, as a whole, nested text included', async () => {
    const encoded = Buffer.from('my mail is jane@acme.com').toString('base64');
    const twice = Buffer.from(`again ${encoded}`).toString('base64url');
    const harmless = Buffer.from('nothing to see in here').toString('base64');
    const text = `a ${encoded} b ${twice} c ${harmless}`;
    expect(await written(text, {})).toBe(text);
    expect(await written(text, { decode: ['base64'] })).toBe(
      `a <EMAIL_ADDRESS> b <EMAIL_ADDRESS> c ${harmless}`,
    );
  });
});

describe('maxScanBytes', () => {
  const text = `${'é'.repeat(40)} jane@acme.com`;

  test('is in bytes, and larger texts are refused', async () => {
    const layer = redact({ maxScanBytes: 90 });
    expect(textOf(await throughWrite(redact({ maxScanBytes: 96 }), userMessage(text)))).toContain(
      '<EMAIL_ADDRESS>',
    );
    await expect(async () => throughWrite(layer, userMessage(text))).rejects.toMatchObject({
      code: 'ERR_PII_BLOCKED',
      message: expect.stringContaining(
        'content[0].text of a message item is larger than maxScanBytes (90)',
      ) as string,
    });
    expect(layer.compare?.(userMessage(text))).toEqual(userMessage('<UNSCANNED>'));
  });

  test("with 'drop' the text is dropped, and arguments stay JSON", async () => {
    const options: RedactOptions = { maxScanBytes: 20, onOversize: 'drop' };
    expect(await written(text, options)).toBe('<UNSCANNED>');
    const call = {
      type: 'function_call',
      callId: 'c',
      name: 'f',
      arguments: JSON.stringify({ text }),
    } as const;
    const layer = redact(options);
    const stored = await throughWrite(layer, call);
    expect(stored).toMatchObject({ arguments: '"<UNSCANNED>"' });
    expect(await throughWrite(layer, stored)).toEqual(stored);
  });
});

describe('options', () => {
  test.each([
    [{ countries: ['FR'] }, 'no identity numbers are built in for the country "FR"'],
    [{ countries: 'DE' }, 'countries must be an array of country codes (AU, DE, ES, GB, IN, IT, PL, US)'],
    [
      { allowList: [5] },
      'allowList must be an array of strings and regular expressions, got a positive number.',
    ],
    [{ denyList: { person: ['x'] } }, 'denyList must be an object with an array of phrases for each entity'],
    [{ denyList: { PERSON: ['!'] } }, 'denyList.PERSON must be an array of phrases with letters or digits'],
    [{ decode: ['rot13'] }, "decode must be an array of 'percent', 'base64' and 'obfuscated'"],
    [{ maxScanBytes: 0 }, 'maxScanBytes must be a positive whole number'],
    [{ onOversize: 'skip' }, "onOversize must be 'block' or 'drop'"],
    [{ operators: { DEFAULT: { type: 'custom' } } }, 'operators.DEFAULT.apply must be a function'],
  ])('%j is refused', (options, message) => {
    expect(() => redact(options as unknown as RedactOptions)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }),
    );
  });
});

describe('for any text', () => {
  const piece = oneof(
    constantFrom(
      'jane@acme.com',
      '4111 1111 1111 1111',
      '+44 20 7946 0958',
      'DE89370400440532013000',
      '192.168.0.1',
      '@',
      ':',
      '536-90-4399',
      'ssn ',
      'card ',
      'phone: ',
      '%40',
      '\\n',
      '"',
      '{',
      '}',
      '[',
      ']',
      ',',
      '1',
      '22',
      '333',
      '-',
      ' ',
      '.',
      '//',
      'eyJ',
      '<EMAIL_ADDRESS>',
      '\u200b',
      '４',
      'https://u:p@h.com',
      '{"a":"b@acme.com"}',
    ),
    string({ maxLength: 6, unit: 'grapheme' }),
  );
  const text = array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
  const operators = constantFrom('replace', 'redact', 'mask', 'keep' as const);

  test('redacting twice is redacting once, and comparing agrees', async () => {
    await assert(
      asyncProperty(array(text, { minLength: 1, maxLength: 3 }), operators, async (texts, operator) => {
        const layer = redact({ operators: { DEFAULT: operator }, countries: ['GB', 'DE', 'PL'] });
        const item = {
          role: 'user',
          content: texts.map((part) => ({ type: 'input_text', text: part })),
        } as never;
        const once = await throughWrite(layer, item);
        expect(await throughWrite(layer, once)).toEqual(once);
        expect(layer.compare?.(item)).toEqual(once);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  test('arguments that were JSON are JSON afterwards, with the same shape', async () => {
    const layer = redact();
    const shape = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shape);
      if (typeof value === 'object' && value !== null) return Object.values(value).map(shape);
      return typeof value === 'number' || typeof value === 'string' ? 'scalar' : value;
    };
    await assert(
      asyncProperty(jsonValue({ maxDepth: 4 }), text, async (value, planted) => {
        const before = { value, planted, nested: JSON.stringify({ planted }) };
        const stored = await throughWrite(layer, {
          type: 'function_call',
          callId: 'c',
          name: 'f',
          arguments: JSON.stringify(before),
        });
        const after = JSON.parse((stored as { arguments: string }).arguments) as typeof before;
        expect(shape(after)).toEqual(shape(before));
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  test('the public redactor finds what the layer replaces', async () => {
    const redactor = createRedactor();
    const found = await redactor.analyze('a jane@acme.com b');
    expect(found).toEqual([{ entityType: 'EMAIL_ADDRESS', start: 2, end: 15, score: 0.95, validated: true }]);
    const { items, findings } = await redactor.redactItems([userMessage('jane@acme.com')]);
    expect(items).toEqual([userMessage('<EMAIL_ADDRESS>')]);
    expect(findings).toHaveLength(1);
  });
});
