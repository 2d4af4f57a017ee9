import { MemorySession, type AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { redact } from '../../src/layers/redact.ts';
import { BUILT_IN_RECOGNIZERS } from '../../src/redaction/entities.ts';
import { createRedactor, patternRecognizer, type Operator } from '../../src/redaction/index.ts';
import { wrapSession } from '../../src/wrap-session.ts';

const key = new Uint8Array(32).fill(7);
/** Without URLs, which stay URLs around what was replaced in them. */
const entities = BUILT_IN_RECOGNIZERS.flatMap((recognizer) => recognizer.entities).filter(
  (entity) => entity !== 'URL',
);
const ACCOUNT = 'CUSTOMER_V2';
const recognizers = [patternRecognizer({ entity: ACCOUNT, pattern: /\bC-\d{4,9}\b/ })];

/** All places in which a recognizer takes a value by what stands around it. */
const PLACES: readonly string[] = [
  '%',
  'Cookie: sid=%; theme=dark',
  'Set-Cookie: auth=%; Path=/',
  'Cookie: theme=%',
  '{"cookie":"session=%"}',
  '{"headers":{"Cookie":"jwt=%; x=1"}}',
  'token=%',
  'X-Api-Key: %',
  'api_key: "%"',
  '{"api_key":"%"}',
  'Authorization: Basic %',
  '{"Authorization":"Bearer %"}',
  'DB_PASSWORD=%',
  'password: "%"',
  '{"password":"%"}',
  'https://acme.test/?password=%&x=1',
  'https://ada:%@acme.test/',
  'postgres://ada:%@db/x',
  'curl -u ada:%',
  'mysql -u root -p%',
  'docker login -p %',
  'net use z: \\\\host\\share /user:ada %',
  "IDENTIFIED BY '%'",
  '密码：%',
  '<password>%</password>',
  'phone: %',
  'card %',
  'ssn: %',
  '-----BEGIN PRIVATE KEY-----\n%\n-----END PRIVATE KEY-----',
];

describe.each([
  ['replace', { type: 'replace' }],
  ['hash', { type: 'hash', key }],
  ['pseudonymize', { type: 'pseudonymize', key }],
] as const satisfies [string, Operator][])('of what %s wrote nothing is found again', (_name, operator) => {
  const redactor = createRedactor({ entities, recognizers, operators: { DEFAULT: operator } });

  test.each(PLACES.slice(0, -1))('in the place of a value: %s', async (place) => {
    for (const value of [
      'abc12345',
      '4111111111111111',
      'jane@acme.com',
      '4f9d8c7b6a5e4d3c2b1a',
      'C-47113456',
    ]) {
      const once = await redactor.redactText(place.replaceAll('%', value));
      expect(await redactor.redactText(once)).toBe(once);
      expect(await redactor.analyze(once)).toEqual([]);
    }
  });

  test.each(PLACES.slice(0, -1))('for any entity: %s', async (place) => {
    for (const entityType of [...entities, ACCOUNT]) {
      const single = createRedactor({
        entities: [],
        recognizers: [patternRecognizer({ entity: entityType, pattern: /§/ })],
        operators: { DEFAULT: operator },
      });
      const output = await single.redactText('§');
      const text = place.replaceAll('%', output);
      expect({ text, found: await redactor.analyze(text) }).toEqual({ text, found: [] });
    }
  });
});

test('a cookie is one find, and its hash is the hash of the cookie', async () => {
  const operators = { DEFAULT: { type: 'hash', key } } as const;
  const { findings } = await createRedactor({ operators }).redactItems([
    { role: 'user', content: 'Cookie: sid=abc12345' },
  ]);
  expect(findings).toHaveLength(1);
});

test('a transaction over copies of items with a hashed cookie finds its suffix', async () => {
  const session = wrapSession(new MemorySession(), [
    redact({ when: 'both', operators: { DEFAULT: { type: 'hash', key } } }),
  ]);
  await session.addItems([
    { role: 'user', content: 'hi' },
    { role: 'user', content: 'Cookie: sid=abc12345' },
  ]);
  const seen = await session.getItems();
  const stored = JSON.stringify(seen);
  await session.applyHistoryTransaction?.({
    operationId: 'cut',
    transaction: {
      type: 'replace_suffix',
      expectedSuffix: JSON.parse(JSON.stringify(seen.slice(1))) as AgentInputItem[],
      replacement: [],
    },
  });
  expect(JSON.stringify(await session.getItems())).toBe(`${stored.slice(0, stored.indexOf('},{') + 1)}]`);
});
