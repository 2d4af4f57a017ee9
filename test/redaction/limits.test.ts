import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test, vi } from 'vitest';
import { StrongroomError } from '../../src/errors.ts';
import { redact } from '../../src/layers/redact.ts';
import { createRedactor, patternRecognizer } from '../../src/redaction/index.ts';
import { rounds } from '../support/soak.ts';
import { textOf, throughWrite, userMessage } from './layer-call.ts';
import { PATTERNS } from './patterns.ts';

const MIB = 1024 * 1024;

/** Quantifiers that cost the engine's stack a place for each repetition, whatever the length of the text. */
function unboundedQuantifiers({ source, flags }: RegExp): readonly string[] {
  const found: string[] = [];
  // An escape, a class or one character, or the end of a group; then its quantifier.
  const atoms = /(\\p\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]|\)|[^\\[])([*+]|\{\d+,\d*\})?/gsu;
  for (const [whole, atom = '', quantifier = ''] of source.matchAll(atoms)) {
    if (quantifier === '' || /,\d+\}$/.test(quantifier)) continue;
    const isAstral = /[uv]/.test(flags) && /\\[pP]|^\[\^|^\./.test(atom);
    if (atom === ')' || isAstral || !/^[*+]$/.test(quantifier)) found.push(whole);
  }
  return found;
}

describe('no pattern can exhaust the stack of the regular expression engine', () => {
  test('an example of such a pattern', () => {
    for (const pattern of [/(?:a|b)*/, /(?:[ ]?\d)+/, /[a-z]{8,}/, /\p{L}+/u, /[^a]*/u]) {
      expect(unboundedQuantifiers(pattern)).toHaveLength(1);
    }
    for (const pattern of [/(?:a|b){0,9}/, /[a-z]+/, /\[+\)/, /\p{L}{1,9}/u, /[)]*[\]*]/]) {
      expect(unboundedQuantifiers(pattern)).toEqual([]);
    }
  });

  test.each(PATTERNS.map((pattern) => [pattern.source, pattern] as const))('%s', (_source, pattern) => {
    expect(unboundedQuantifiers(pattern)).toEqual([]);
  });
});

describe('a large text is searched', () => {
  const base64 = Buffer.alloc(rounds(2, 6) * MIB, 'any bytes').toString('base64');
  /** The long form tries all of them at eight times the size, and at the whole of maxScanBytes. */
  const part = rounds(1, 8) * MIB;
  const large: readonly (readonly [name: string, text: string])[] = [
    ['base64', base64],
    ['JSON with base64', JSON.stringify({ mimeType: 'image/png', data: base64.slice(0, part) })],
    ['digits', '7'.repeat(2 * part)],
    ['digits with points', '1.'.repeat(part / 2)],
    ['a private key', `-----BEGIN PRIVATE KEY-----${base64}`],
    ['a token', `eyJ${'a'.repeat(2 * part)}.bbbbbbbbb.c`],
    ['letters outside of the basic plane', '𝕒'.repeat(part / 4)],
    ['full-width digits', '７'.repeat(part / 4)],
    ['percent-encoding', '%37'.repeat(part / 4)],
    ['JSON of 100,000 levels', '['.repeat(100_000) + ']'.repeat(100_000)],
  ];
  const classes = 'aA0 .-_/+=:@%\\&,;"\'{[(<\n\t\0é漢한あกनعא🙂\u200b\ud800';
  const whole: readonly (readonly [name: string, text: string])[] = [
    ...Array.from(classes, (character) => {
      const bytes = Buffer.byteLength(character);
      const count = Math.floor((32 * MIB - 64) / bytes);
      return [JSON.stringify(character), character.repeat(count)] as const;
    }),
    ['digits and points', '1.'.repeat(15 * MIB)],
    ['a token', `eyJ${'a'.repeat(31 * MIB)}.bbbbbbbbb.c`],
    ['a private key', `-----BEGIN PRIVATE KEY-----${'a/b'.repeat(10 * MIB)}`],
    ['addresses', 'a@acme.com '.repeat(2 * MIB)],
    ['JSON of 15 million levels', '['.repeat(15 * MIB) + ']'.repeat(15 * MIB)],
  ];

  test.each(rounds(0, 1) === 1 ? [...large, ...whole] : large)(
    '%s',
    async (_name, text) => {
      const layer = redact({ denyList: { NAME: ['Jane Roe'] }, decode: ['percent', 'base64'] });
      const ending = text.endsWith(']') ? '' : ' mail jane.roe@acme.com';
      const stored = await throughWrite(layer, userMessage(text + ending)).catch((error: unknown) => {
        // What grows beyond maxScanBytes by its placeholders is refused as that option says.
        if (error instanceof StrongroomError && error.code === 'ERR_PII_BLOCKED') return userMessage('');
        throw error;
      });
      expect(textOf(stored).slice(-64)).not.toContain('jane.roe');
    },
    600_000,
  );

  test('to its end also when characters are folded', async () => {
    const redactor = createRedactor();
    const text = `${'７'.repeat(70_000)}\u00ad${'x'.repeat(40_000)} j\u00adane@acme\uff0ecom %6aane%40acme.com`;
    expect(await redactor.redactText(text)).toBe(`${text.slice(0, 110_001)} <EMAIL_ADDRESS> <EMAIL_ADDRESS>`);
  });
});

describe('a pattern of the user that exhausts the stack', () => {
  // V8 gives an expression 64 MiB of stack: a repeated group takes 8 bytes a character, a repeated class 4.
  const text = 'ab'.repeat(5 * MIB);

  test('refuses the text with a typed error that says what to do', async () => {
    const layer = redact({
      entities: [],
      recognizers: [patternRecognizer({ entity: 'X', pattern: /(?:a|b)+c/ })],
    });
    const refusal: unknown = await throughWrite(layer, userMessage(text)).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StrongroomError);
    expect(refusal).toMatchObject({
      code: 'ERR_PII_BLOCKED',
      message: expect.stringContaining('Bound its quantifiers') as string,
    });
    expect(layer.compare?.(userMessage(text))).toEqual(userMessage(''));
  });

  test('in the allow list does not allow the value', async () => {
    const redactor = createRedactor({
      entities: [],
      // No pattern: that of a class takes two thirds of the stack itself, and overflowed it once.
      recognizers: [
        {
          name: 'all',
          entities: ['X'],
          analyze: ({ length }) => [{ entityType: 'X', start: 0, end: length, score: 1 }],
        },
      ],
      operators: { X: { type: 'replace', with: '-' } },
      allowList: [/(?:a|b)*/],
    });
    expect(await redactor.redactText(text)).toBe('-');
  });
});

describe('an item of thousands of levels', () => {
  const nested = (levels: number, isList: boolean): unknown => {
    let value: unknown = 'jane@acme.com';
    for (let level = 0; level < levels; level++) value = isList ? [value] : { a: value };
    return value;
  };
  const items = (levels: number, isList: boolean): readonly AgentInputItem[] => [
    { type: 'tool_search_call', arguments: nested(levels, isList) },
    { type: 'message', role: 'user', content: 'x', providerData: { a: nested(levels, isList) } },
    { type: 'unknown', scene: nested(levels, isList) } as unknown as AgentInputItem,
  ];

  test.each([1_000, 5_000, 50_000])(
    'of %i is refused by its name and never a stack overflow',
    async (levels) => {
      const redactor = createRedactor();
      const layer = redact();
      for (const item of [...items(levels, true), ...items(levels, false)]) {
        await expect(redactor.redactItems([item])).rejects.toMatchObject({
          code: 'ERR_INVALID_ITEM',
          message: expect.stringContaining('nests more than 256 levels') as string,
        });
        expect(() => layer.compare?.(item)).not.toThrow();
      }
    },
  );

  test('of 200 is searched to its end', async () => {
    const redactor = createRedactor();
    const { items: redacted } = await redactor.redactItems([...items(200, true), ...items(200, false)]);
    expect(JSON.stringify(redacted)).not.toContain('jane');
  });

  test('as JSON text is searched to its end, JSON in JSON too', async () => {
    const redactor = createRedactor();
    const deep = `${'{"a":['.repeat(50_000)}"jane@acme.com"${']}'.repeat(50_000)}`;
    expect(await redactor.redactText(deep)).toBe(deep.replace('jane@acme.com', '<EMAIL_ADDRESS>'));
    let text = 'jane@acme.com';
    for (let level = 0; level < 14; level++) text = JSON.stringify([text]);
    expect(await redactor.redactText(text)).not.toContain('jane');
  });
});

describe('work grows with the item and not with its square', () => {
  test('keys that become the same placeholder are numbered in one pass', async () => {
    const item = (count: number): AgentInputItem => ({
      type: 'tool_search_call',
      arguments: Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}@acme.com`, 1])),
    });
    const lookups = async (count: number): Promise<number> => {
      const has = vi.spyOn(Set.prototype, 'has');
      try {
        await throughWrite(redact({ entities: ['EMAIL_ADDRESS'] }), item(count));
        return has.mock.calls.filter(([key]) => typeof key === 'string' && key.startsWith('<')).length;
      } finally {
        has.mockRestore();
      }
    };
    const one = await lookups(500);
    expect(one).toBeGreaterThan(499);
    expect(await lookups(1_000)).toBeLessThanOrEqual(2 * one + 10);
  });

  test('20,000 such keys keep their values', async () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => [`a${index}@acme.com`, index] as const);
    const stored = await throughWrite(redact({ entities: ['EMAIL_ADDRESS'] }), {
      type: 'tool_search_call',
      arguments: Object.fromEntries(keys),
    });
    const { arguments: values } = stored as { arguments: Record<string, number> };
    expect(Object.values(values)).toEqual(keys.map(([, index]) => index));
    expect(Object.keys(values).slice(0, 3)).toEqual([
      '<EMAIL_ADDRESS>',
      '<EMAIL_ADDRESS>_2',
      '<EMAIL_ADDRESS>_3',
    ]);
  }, 60_000);

  test('a find across two texts includes all finds inside of it, for any number', async () => {
    const numbers = '203.0.113.77 '.repeat(rounds(40_000, 200_000));
    const stored = await throughWrite(redact(), {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: '-----BEGIN PRIVATE KEY-----' },
        { type: 'input_text', text: numbers },
      ],
    });
    expect(JSON.stringify(stored)).not.toContain('203.0');
  }, 60_000);
});
