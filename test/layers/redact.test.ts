import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test, vi } from 'vitest';
import { redact, type RedactOptions, type RedactionReport } from '../../src/layers/redact.ts';
import { patternRecognizer, type Recognizer } from '../../src/redaction/index.ts';
import { sessionCall, textOf, throughRead, throughWrite, userMessage } from '../redaction/layer-call.ts';

const call = (args: string): AgentInputItem => ({
  type: 'function_call',
  callId: 'call_1',
  name: 'send',
  arguments: args,
});
const argumentsOf = (item: AgentInputItem): string => (item as { arguments: string }).arguments;

describe('JSON text', () => {
  test.each([
    [
      'numbers beyond 2^53, spacing, key order and duplicate keys',
      '{ "z":12345678901234567890 ,\n\t"to" : "jane@acme.com","a":1.0e5, "a": [ ] , "z":-0 }',
      '{ "z":12345678901234567890 ,\n\t"to" : "<EMAIL_ADDRESS>","a":1.0e5, "a": [ ] , "z":-0 }',
    ],
    [
      'escapes that hide a value',
      '{"to":"jane\\u0040acme.com","s":"\\/"}',
      '{"to":"<EMAIL_ADDRESS>","s":"\\/"}',
    ],
    ['a value after an escape', '{"note":"mail\\njane@acme.com"}', '{"note":"mail\\n<EMAIL_ADDRESS>"}'],
    ['keys', '{"jane@acme.com":{"n":1}}', '{"<EMAIL_ADDRESS>":{"n":1}}'],
    [
      'JSON in JSON',
      JSON.stringify({ body: JSON.stringify({ to: 'jane@acme.com', q: '"' }) }),
      JSON.stringify({ body: JSON.stringify({ to: '<EMAIL_ADDRESS>', q: '"' }) }),
    ],
    [
      'a number that is a card',
      '{"card_number":4111111111111111,"n":7}',
      '{"card_number":"<CREDIT_CARD>","n":7}',
    ],
    ['a bare number', '4111111111111111', '"<CREDIT_CARD>"'],
    ['a bare string', '"jane@acme.com"', '"<EMAIL_ADDRESS>"'],
    [
      'a context in the key',
      '{"ssn":"536904399","order_id":"536904399"}',
      '{"ssn":"<US_SSN>","order_id":"536904399"}',
    ],
    [
      'lines of JSON',
      '{"a":"jane@acme.com"}\n{"a":"\\u006aoe@acme.com"}\n',
      '{"a":"<EMAIL_ADDRESS>"}\n{"a":"<EMAIL_ADDRESS>"}\n',
    ],
  ])('keeps %s', async (_name, before, after) => {
    expect(argumentsOf(await throughWrite(redact(), call(before)))).toBe(after);
  });

  test('text that only looks like JSON is text', async () => {
    expect(argumentsOf(await throughWrite(redact(), call('{"to": "jane@acme.com')))).toBe(
      '{"to": "<EMAIL_ADDRESS>',
    );
  });
});

describe('text split over adjacent parts', () => {
  const parts = (...texts: string[]): AgentInputItem => ({
    role: 'user',
    content: texts.map((text) => ({ type: 'input_text', text })),
  });
  const textsOf = (item: AgentInputItem): string[] =>
    (item as { content: { text: string }[] }).content.map((part) => part.text);

  test.each([
    [
      ['card 4111 1111 ', '1111 1111 thanks'],
      ['card <CREDIT_CARD>', ' thanks'],
    ],
    [
      ['jane', '@ac', 'me.com and more'],
      ['<EMAIL_ADDRESS>', '', ' and more'],
    ],
    [
      ['jane@acme.co', 'm'],
      ['<EMAIL_ADDRESS>', ''],
    ],
    [
      ['to jane@acme.com', 'Thanks'],
      ['to <EMAIL_ADDRESS>', 'Thanks'],
    ],
    [
      ['a@acme.com', 'b@acme.com'],
      ['<EMAIL_ADDRESS>', '<EMAIL_ADDRESS>'],
    ],
  ])('%j', async (before, after) => {
    const layer = redact();
    const stored = await throughWrite(layer, parts(...before));
    expect(textsOf(stored)).toEqual(after);
    expect(await throughWrite(layer, stored)).toEqual(stored);
  });

  test('an image between two texts keeps them apart', async () => {
    const item: AgentInputItem = {
      role: 'user',
      content: [
        { type: 'input_text', text: 'jane@ac' },
        { type: 'input_image', image: 'https://x.test/a.png' },
        { type: 'input_text', text: 'me.com' },
      ],
    };
    expect(await throughWrite(redact(), item)).toBe(item);
  });
});

describe('operators', () => {
  test('replace, replace with a text, and mask, by entity and for the rest', async () => {
    const layer = redact({
      operators: {
        EMAIL_ADDRESS: { type: 'replace', with: '[address]' },
        CREDIT_CARD: { type: 'mask', keepLast: 4 },
        DEFAULT: 'mask',
      },
    });
    const stored = await throughWrite(layer, userMessage('jane@acme.com 4111 1111 1111 1111 192.168.0.1'));
    expect(textOf(stored)).toBe('[address] **** **** **** 1111 ***.***.*.*');
    expect(await throughWrite(layer, stored)).toBe(stored);
  });

  test('a mask keeps at most a third', async () => {
    const layer = redact({ operators: { DEFAULT: { type: 'mask', char: '•', keepFirst: 8, keepLast: 8 } } });
    expect(textOf(await throughWrite(layer, userMessage('ssn 536-90-4399')))).toBe('ssn •••-••-•399');
  });

  test('of overlapping finds the proven one wins and nothing of the other remains', async () => {
    const layer = redact({
      recognizers: [patternRecognizer({ entity: 'LINK', pattern: /https:\S+/ })],
    });
    expect(textOf(await throughWrite(layer, userMessage('https://x.test/jane@acme.com/rest')))).toBe(
      '<EMAIL_ADDRESS>',
    );
  });
});

describe('transform', () => {
  test('rewrites each text and gets its location', async () => {
    const seen: string[] = [];
    const layer = redact({
      transform: (text, { path, item }) => {
        seen.push(`${(item as { type: string }).type} ${path}: ${text}`);
        return text.replaceAll('Jane', '<NAME>');
      },
    });
    const stored = await throughWrite(
      layer,
      call('{"to":{"name":"Jane","mail":"j@acme.com"},"tags":["Jane R"]}'),
    );
    expect(argumentsOf(stored)).toBe('{"to":{"name":"<NAME>","mail":"<EMAIL_ADDRESS>"},"tags":["<NAME> R"]}');
    expect(seen).toEqual([
      'function_call arguments.to.name: Jane',
      'function_call arguments.to.mail: <EMAIL_ADDRESS>',
      'function_call arguments.tags[0]: Jane R',
    ]);
    expect(layer.compare?.(stored)).toEqual(stored);
  });

  test('may be asynchronous, and then comparisons see no text at all', async () => {
    const layer = redact({ transform: async (text) => text.replaceAll('Jane', '<NAME>') });
    const stored = await throughWrite(layer, userMessage('I am Jane'));
    expect(textOf(stored)).toBe('I am <NAME>');
    expect(layer.compare?.(userMessage('I am Jane'))).toEqual(userMessage(''));
    expect(layer.compare?.(stored)).toEqual(layer.compare?.(userMessage('I am Jane')));
  });

  test('that returns a promise without being an async function is noticed at the first text', async () => {
    const layer = redact({ transform: (text) => Promise.resolve(text) });
    expect(layer.compare?.(userMessage('hi'))).toEqual(userMessage(''));
  });

  test('that does not return a string is refused', async () => {
    const layer = redact({ transform: (() => undefined) as unknown as (text: string) => string });
    await expect(async () => throughWrite(layer, userMessage('hi'))).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: 'redact: transform returned undefined for content[0].text; it must return a string.',
    });
  });

  test('with entities: [] is all that happens', async () => {
    const layer = redact({ entities: [], transform: (text) => text.toUpperCase() });
    expect(textOf(await throughWrite(layer, userMessage('jane@acme.com')))).toBe('JANE@ACME.COM');
  });
});

describe('recognizers of your own', () => {
  test('by pattern, without g, with empty matches, with a context word', async () => {
    const pattern = /x*|E-\d{4}/;
    const layer = redact({
      entities: [],
      recognizers: [
        patternRecognizer({ entity: 'EMPTY', pattern }),
        patternRecognizer({ entity: 'EMPLOYEE_ID', pattern: /\d{4}/, score: 0.3, context: ['employee'] }),
        patternRecognizer({
          entity: 'EVEN',
          pattern: /\b\d{2}\b/y,
          validate: (match) => Number(match) % 2 === 0,
        }),
      ],
    });
    const stored = await throughWrite(layer, userMessage('employee 1234, year 2024, 33, 44'));
    expect(textOf(stored)).toBe('employee <EMPLOYEE_ID>, year 2024, 33, <EVEN>');
    expect(pattern.lastIndex).toBe(0);
  });

  const names: Recognizer = {
    name: 'names',
    entities: ['PERSON'],
    analyze: async (text) => {
      const start = text.indexOf('Jane');
      return start === -1 ? [] : [{ entityType: 'PERSON', start, end: start + 4, score: 0.9 }];
    },
  };

  test('asynchronous ones blank what comparisons see, numbers and JSON included', async () => {
    const layer = redact({ recognizers: [names] });
    const item = call('{"who":"Jane","n":4111111111111111}');
    const stored = await throughWrite(layer, item);
    expect(argumentsOf(stored)).toBe('{"who":"<PERSON>","n":"<CREDIT_CARD>"}');
    expect(layer.compare?.(item)).toEqual(call(''));
    expect(layer.compare?.(stored)).toEqual(call(''));
  });

  test('a range outside of the text is refused', async () => {
    const layer = redact({
      recognizers: [
        {
          name: 'broken',
          entities: ['X'],
          analyze: () => [{ entityType: 'X', start: 0, end: 99, score: 1 }],
        },
      ],
    });
    await expect(async () => throughWrite(layer, userMessage('hi'))).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: 'redact: the recognizer "broken" returned a range outside the text. Correct the recognizer.',
    });
  });

  test('an error of a recognizer fails the write: nothing is stored unsearched', async () => {
    const failing: Recognizer = {
      name: 'failing',
      entities: ['X'],
      analyze: () => {
        throw new Error('model is down');
      },
    };
    const layer = redact({ recognizers: [failing] });
    await expect(async () => throughWrite(layer, userMessage('hi'))).rejects.toThrow('model is down');
    expect(layer.compare?.(userMessage('hi'))).toEqual(userMessage(''));
  });
});

describe('when', () => {
  test("'write' has no read, 'read' has no write, 'both' has both, all compare", async () => {
    const item = userMessage('jane@acme.com');
    expect(redact()).not.toHaveProperty('read');
    expect(redact({ when: 'read' })).not.toHaveProperty('write');
    expect(textOf(await throughRead(redact({ when: 'read' }), item))).toBe('<EMAIL_ADDRESS>');
    const both = redact({ when: 'both' });
    expect(textOf(await throughWrite(both, item))).toBe('<EMAIL_ADDRESS>');
    expect(textOf(await throughRead(both, item))).toBe('<EMAIL_ADDRESS>');
    expect(redact({ when: 'read' }).compare?.(item)).toEqual(userMessage('<EMAIL_ADDRESS>'));
  });

  test('a read keeps the record and the header of an entry', async () => {
    const entry = { item: userMessage('jane@acme.com'), header: { t: 5 }, stored: userMessage('raw') };
    const [read] = (await redact({ when: 'read' }).read?.([entry], sessionCall('getItems'))) ?? [];
    expect(read).toEqual({ ...entry, item: userMessage('<EMAIL_ADDRESS>') });
  });
});

describe('onRedaction', () => {
  test('gets entity and location, never the value', async () => {
    const reports: RedactionReport[] = [];
    const layer = redact({ onRedaction: (report) => void reports.push(report) });
    const items = [
      userMessage('nothing'),
      call('{"customer":{"e-mail address":"jane@acme.com"},"jane@acme.com":["4111111111111111"]}'),
    ];
    await layer.write?.(
      items.map((item) => ({ item, header: {} })),
      sessionCall('addItems'),
    );
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({
      sessionId: 'session-1',
      when: 'write',
      itemCount: 2,
      counts: { EMAIL_ADDRESS: 2, CREDIT_CARD: 1 },
    });
    expect(reports[0]?.findings.map(({ item, path, operator }) => `${item} ${path} ${operator}`)).toEqual([
      '1 arguments.customer.* replace',
      '1 arguments replace',
      '1 arguments.*[0] replace',
    ]);
    expect(JSON.stringify(reports)).not.toMatch(/jane|4111/);
  });

  test('gets the texts that were not searched: dropped for their size, or long Base64', async () => {
    const reports: RedactionReport[] = [];
    const base64 = Buffer.from(Array.from({ length: 600 }, (_, index) => (index * 37) % 256)).toString(
      'base64',
    );
    const layer = redact({
      maxScanBytes: 2_000,
      onOversize: 'drop',
      onRedaction: (report) => void reports.push(report),
    });
    const items = [
      userMessage('a'.repeat(3_000)),
      userMessage(`data:x/y;base64,${base64} end`),
      userMessage('w'.repeat(600)),
    ];
    await layer.write?.(
      items.map((item) => ({ item, header: {} })),
      sessionCall('addItems'),
    );
    expect(reports.map(({ unsearched }) => unsearched)).toEqual([
      [
        { item: 0, reason: 'oversize', itemType: 'message', path: 'content[0].text', length: 3_000 },
        { item: 1, reason: 'encoded', itemType: 'message', path: 'content[0].text', length: 800 },
      ],
    ]);
  });

  test('is not called when nothing was found, and may fail', async () => {
    const onRedaction = vi.fn<(report: RedactionReport) => Promise<void>>(async () => {
      throw new Error('sink is down');
    });
    const layer = redact({ onRedaction });
    await throughWrite(layer, userMessage('nothing'));
    expect(onRedaction).not.toHaveBeenCalled();
    expect(textOf(await throughWrite(layer, userMessage('jane@acme.com')))).toBe('<EMAIL_ADDRESS>');
    expect(onRedaction).toHaveBeenCalledTimes(1);
  });
});

describe('options', () => {
  test.each([
    [{ entities: ['EMAIL'] }, 'redact: unknown entity "EMAIL". Built in: EMAIL_ADDRESS'],
    [{ entities: 'EMAIL_ADDRESS' }, 'redact: entities must be an array of entity names, got a string.'],
    [{ operators: { EMAIL_ADDRESS: 'shred' } }, 'redact: operators.EMAIL_ADDRESS must be an operator ('],
    [{ operators: { PERSON: 'mask' } }, 'redact: operators.PERSON is for an entity that is not detected.'],
    [
      { operators: { DEFAULT: { type: 'mask', keep: 4 } } },
      'redact: operators.DEFAULT: unknown option "keep". Known: type, char, keepFirst, keepLast',
    ],
    [
      { operators: { DEFAULT: { type: 'mask', char: 'X' } } },
      'redact: operators.DEFAULT.char must be one character',
    ],
    [
      { operators: { DEFAULT: { type: 'mask', keepLast: -1 } } },
      'redact: operators.DEFAULT.keepLast must be',
    ],
    [
      { operators: { EMAIL_ADDRESS: { type: 'replace', with: 'a@acme.com' } } },
      'redact: operators.EMAIL_ADDRESS.with must be a string in which no recognizer finds an entity',
    ],
    [
      { recognizers: [{ name: 'x' }] },
      'redact: recognizers[0] must be an object with name, entities and analyze()',
    ],
    [{ transform: 'upper' }, 'redact: transform must be a function, got a string.'],
    [{ when: 'always' }, "redact: when must be 'write', 'read' or 'both', got a string."],
    [{ onRedaction: true }, 'redact: onRedaction must be a function, got a boolean.'],
    [{ scoreThreshold: 2 }, 'redact: scoreThreshold must be a number from 0 to 1, got a positive number.'],
    [{ entitys: [] }, 'redact: unknown option "entitys". Known: entities,'],
  ])('%j is refused', (options, message) => {
    expect(() => redact(options as unknown as RedactOptions)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }),
    );
  });
});
