import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { MemorySession } from '@openai/agents';
import { afterEach, describe, expect, test } from 'vitest';
import { redact, wrapSession } from '../../src/index.ts';
import { createRedactor, presidioRecognizer } from '../../src/redaction/index.ts';
import { textOf, userMessage } from './layer-call.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server of Presidio's documented shape: it finds the name Jane, counting code points as Python does. */
async function analyzer(
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<string> {
  server = createServer((request, response) => {
    void readText(request).then((body) => answer(request, response, body));
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function findJane(_request: IncomingMessage, response: ServerResponse, body: string): void {
  const characters = Array.from((JSON.parse(body) as { text: string }).text);
  const start = characters.findIndex((_, index) => characters.slice(index, index + 4).join('') === 'Jane');
  const results =
    start < 0
      ? []
      : [
          {
            entity_type: 'PERSON',
            start,
            end: start + 4,
            score: 0.85,
            analysis_explanation: null,
            recognition_metadata: {},
          },
        ];
  response.setHeader('content-type', 'application/json').end(JSON.stringify(results));
}

describe('presidioRecognizer', () => {
  test('asks POST /analyze and redacts what it finds, in UTF-16 places', async () => {
    const requests: unknown[] = [];
    const url = await analyzer((request, response, body) => {
      requests.push([request.method, request.url, request.headers['x-token'], JSON.parse(body)]);
      findJane(request, response, body);
    });
    const recognizer = presidioRecognizer({ url: `${url}/`, language: 'de', headers: { 'x-token': 't' } });
    const redactor = createRedactor({ recognizers: [recognizer] });
    expect(await redactor.redactText('👋🏽 I am Jane, jane@acme.com')).toBe(
      '👋🏽 I am <PERSON>, <EMAIL_ADDRESS>',
    );
    expect(requests[0]).toEqual([
      'POST',
      '/analyze',
      't',
      {
        text: '👋🏽 I am Jane, jane@acme.com',
        language: 'de',
        entities: ['PERSON', 'LOCATION', 'NRP', 'DATE_TIME'],
      },
    ]);
  });

  test('in a stack, a missing answer keeps the text out of the store', async () => {
    const url = await analyzer((_request, response) => {
      response.statusCode = 500;
      response.end();
    });
    const inner = new MemorySession();
    const session = wrapSession(inner, [redact({ recognizers: [presidioRecognizer({ url })] })]);
    await expect(session.addItems([userMessage('I am Jane')])).rejects.toMatchObject({
      code: 'ERR_PII_BLOCKED',
      message: `Presidio at ${url}/analyze answered with status 500, so the text was not searched and nothing was stored. Repeat the call when Presidio answers.`,
    });
    expect(await inner.getItems()).toEqual([]);
    server?.removeAllListeners('request').on('request', (request, response) => {
      void readText(request).then((body) => findJane(request, response, body));
    });
    await session.addItems([userMessage('I am Jane')]);
    expect((await inner.getItems()).map(textOf)).toEqual(['I am <PERSON>']);
  });

  test.each([
    ['no JSON', 'oops', 'could not be reached or did not answer with JSON'],
    ['no list', '{}', 'did not answer with an array'],
    [
      'half a result',
      '[{"entity_type":"PERSON"}]',
      'answered with a result without entity_type, start, end and score',
    ],
  ])('%s is refused', async (_name, body, message) => {
    const url = await analyzer((_request, response) => response.end(body));
    const redactor = createRedactor({ recognizers: [presidioRecognizer({ url })] });
    await expect(redactor.redactText('I am Jane')).rejects.toMatchObject({
      code: 'ERR_PII_BLOCKED',
      message: expect.stringContaining(message) as string,
    });
  });

  test('a server that never answers is a time-out', async () => {
    const url = await analyzer(() => undefined);
    const redactor = createRedactor({ recognizers: [presidioRecognizer({ url, timeout: 20 })] });
    await expect(redactor.redactText('I am Jane')).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      message: `Presidio at ${url}/analyze did not answer within 20 ms.`,
    });
  });

  test('text without a letter is not sent', async () => {
    const redactor = createRedactor({ recognizers: [presidioRecognizer({ url: 'http://127.0.0.1:9' })] });
    expect(await redactor.redactText('12:30, 4.50')).toBe('12:30, 4.50');
  });

  test.each([
    [{ url: 'ftp://x' }, 'presidioRecognizer: url must be an http or https URL, got a string.'],
    [{ url: 'http://x', entities: [] }, 'presidioRecognizer: entities must be an array of entity names'],
    [{ url: 'http://x', language: '' }, 'presidioRecognizer: language must be a language code'],
    [
      { url: 'http://x', timeout: 0 },
      'presidioRecognizer: timeout must be a positive number of milliseconds',
    ],
    [{ url: 'http://x', key: 1 }, 'presidioRecognizer: unknown option "key".'],
  ])('%j is refused', (options, message) => {
    expect(() => presidioRecognizer(options as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }),
    );
  });
});
