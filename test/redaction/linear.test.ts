import { check } from 'recheck';
import { describe, expect, test } from 'vitest';
import { redact } from '../../src/layers/redact.ts';
import { BUILT_IN_RECOGNIZERS } from '../../src/redaction/entities.ts';
import { commandPasswordRecognizer } from '../../src/redaction/recognizers/command-passwords.ts';
import { createRedactor, patternRecognizer } from '../../src/redaction/index.ts';
import { throughWrite, userMessage } from './layer-call.ts';
import { PATIENT, PATTERNS } from './patterns.ts';

// The analysis of all patterns takes a minute or two, so it is a step of its own in continuous integration.
const isChecked = process.env['RECHECK'] !== undefined;
if (!isChecked) console.warn('skipped: recheck over all patterns (npm run recheck runs it)');

/**
 * Every part of these is bounded, so a start costs some hundred steps at most. Recheck tries tens of thousands of starts, takes
 * longer for that than its limits, and calls it slow.
 */
const BOUNDED: readonly RegExp[] = commandPasswordRecognizer.patterns;

test.each(BOUNDED.map(({ source }) => source))('%s has no unbounded part', (source) => {
  const parts = source.replaceAll(/\\.|\[(?:\\.|[^\]])*\]/g, 'x');
  expect(parts).not.toMatch(/[*+]|\{\d+,\}/);
});

describe.runIf(isChecked)('recheck calls every pattern safe', () => {
  const others = PATTERNS.filter((pattern) => !BOUNDED.includes(pattern));
  test.each(others.map((pattern) => [pattern.source, pattern] as const))(
    '%s',
    async (_source, pattern) => {
      const { status } = await check(pattern.source, pattern.flags, { timeout: 120_000, ...PATIENT });
      expect(status).toBe('safe');
    },
    150_000,
  );
});

test('every recognizer exposes its patterns', () => {
  for (const recognizer of BUILT_IN_RECOGNIZERS) expect(recognizer.patterns).not.toEqual([]);
});

describe('hostile text', () => {
  const layer = redact({
    entities: BUILT_IN_RECOGNIZERS.flatMap((recognizer) => recognizer.entities),
    decode: ['percent', 'base64', 'obfuscated'],
  });
  const seconds = async (text: string, isJson: boolean): Promise<number> => {
    const item = isJson
      ? ({ type: 'function_call', callId: 'c', name: 'f', arguments: text } as const)
      : userMessage(text);
    const before = process.cpuUsage();
    await throughWrite(layer, item);
    return process.cpuUsage(before).user / 1e6;
  };
  const repeat = (seed: string) => (length: number) =>
    seed.repeat(Math.ceil(length / seed.length)).slice(0, length);
  const cases: readonly [name: string, make: (length: number) => string, isJson: boolean][] = [
    ...[
      'a',
      '.',
      'a@',
      '1 ',
      'a.',
      'a@a.',
      '12.',
      ':',
      '%40',
      '%2540',
      '.eyJ',
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN PRIVATE KEY-----"-----END PRIVATE KEY-----',
      'a://a:',
      'DE89 ',
      '+1 ',
      '4111 ',
      '4111111111111111 ',
      'data:a/a;base64,',
      'é',
      '\u200b',
      'card order phone ssn ',
      'token=',
      'password: ',
      'cookie=',
      'bearer ',
      'authorization: a b=c, ',
      'eyJ_',
      'eyJa.',
      'a://a:a@',
      '+1 (',
      'a%',
      'a=',
      'a!',
      'a at a dot ',
      'jane(at)',
      '-u a:',
      'mysql ',
      'sshpass -p a ',
      '/user:a ',
      'DE89\n',
    ].map((seed): [string, (length: number) => string, boolean] => [seed, repeat(seed), false]),
    ['nested lists', (length) => '['.repeat(length / 2) + ']'.repeat(length / 2), true],
    ['nested objects', (length) => `${'{"a":'.repeat(length / 6)}1${'}'.repeat(length / 6)}`, true],
    ['open lists', repeat('['), true],
    ['many literals', (length) => `[${'"a1",'.repeat(length / 5)}"a"]`, true],
    [
      'JSON in JSON',
      (length) => {
        let text = '"jane@acme.com"';
        while (text.length < length) text = JSON.stringify([text]);
        return text;
      },
      true,
    ],
  ];

  // Eight times the text: linear work is eight times the time, quadratic sixty-four. CPU time, not the clock.
  test.each(cases)(
    '%j takes time in proportion',
    async (_name, make, isJson) => {
      const small = 1 << 15;
      await seconds(make(small), isJson);
      const one = Math.max(
        0.004,
        Math.min(await seconds(make(small), isJson), await seconds(make(small), isJson)),
      );
      let eight = await seconds(make(8 * small), isJson);
      // Something else may have kept the processor from it.
      if (eight / one >= 32) eight = await seconds(make(8 * small), isJson);
      expect(eight / one).toBeLessThan(32);
    },
    60_000,
  );
});

describe('patterns of users', () => {
  test.each([
    ['without g', /E-\d+/, 'E-1 E-22 E-333', '<X> <X> <X>'],
    ['with y', /E-\d+/y, 'a E-1', 'a <X>'],
    ['with empty matches', /\d*/, 'a1b', 'a<X>b'],
    ['with only empty matches', /(?:)/, 'abc', 'abc'],
    ['with a look-behind and u', /(?<=é)\d/u, 'é1 e1', 'é<X> e1'],
  ])('%s', async (_name, pattern, before, after) => {
    const redactor = createRedactor({
      entities: [],
      recognizers: [patternRecognizer({ entity: 'X', pattern })],
    });
    expect(await redactor.redactText(before)).toBe(after);
  });

  test('that match their own placeholders are refused: redaction would never be idempotent', () => {
    const own = { entities: [], recognizers: [patternRecognizer({ entity: 'X', pattern: /[A-Z]+/ })] };
    const refusal: unknown = expect.objectContaining({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(
        'createRedactor: operators.X.with must be a string in which no recognizer finds an entity',
      ) as string,
    });
    expect(() => createRedactor(own)).toThrow(refusal);
    expect(() => createRedactor({ denyList: { X: ['x'] } })).toThrow(refusal);
    expect(() => createRedactor({ ...own, operators: { X: { type: 'replace', with: '-' } } })).not.toThrow();
  });

  test('that are not regular expressions are refused', () => {
    for (const [options, message] of [
      [{ entity: 'x', pattern: /a/ }, 'patternRecognizer: entity must be a name in capital letters'],
      [
        { entity: 'X', pattern: 'a' },
        'patternRecognizer: pattern must be a RegExp or an array of them, got a string.',
      ],
      [{ entity: 'X', pattern: [] }, 'patternRecognizer: pattern must be a RegExp or an array of them'],
      [{ entity: 'X', pattern: /a/, score: 0 }, 'patternRecognizer: score must be a number above 0'],
      [{ entity: 'X', pattern: /a/, context: [''] }, 'patternRecognizer: context must be an array of words'],
      [{ entity: 'X', pattern: /a/, validate: 1 }, 'patternRecognizer: validate must be a function'],
      [{ entity: 'X', pattern: /a/, name: '' }, 'patternRecognizer: name must be a name'],
    ] as const) {
      expect(() => patternRecognizer(options as never)).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining(message) as string,
        }),
      );
    }
  });
});
