import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import {
  createRedactor,
  type Recognizer,
  type RedactionFinding,
  type RedactorOptions,
} from '../../src/redaction/index.ts';

// A path goes into reports and logs, so it holds no key that is itself a value.

const KEYS = [
  'ada@example.com',
  'sk_live_4eC39HqLyjWDarjtT1zdp7dc',
  'AKIAIOSFODNN7QWERTYU',
  'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
  'DE89370400440532013000',
  'tel-415-555-2671',
  'user_4111111111111111',
  'session-a7f9c2d4e8b1f3a6',
];

/** Items with the key above a find, at depths where keys are searched. */
const ITEMS: Readonly<Record<string, (key: string) => unknown>> = {
  'JSON text of arguments': (key) => call(JSON.stringify({ users: { [key]: 'jane@acme.com' } })),
  'an object above': (key) => call(JSON.stringify({ [key]: { mail: ['jane@acme.com'] } })),
  'arguments that are an object': (key) => call({ [key]: { mail: 'jane@acme.com' } }),
  'JSON text in JSON text': (key) =>
    call(JSON.stringify({ body: JSON.stringify({ [key]: 'jane@acme.com' }) })),
  'JSON text of a message': (key) => message(JSON.stringify({ [key]: 'jane@acme.com' })),
  providerData: (key) => ({ ...message('x'), providerData: { [key]: { mail: 'jane@acme.com' } } }),
};

const call = (args: unknown): object => ({ type: 'function_call', name: 'f', callId: 'c', arguments: args });
const message = (content: string): object => ({ type: 'message', role: 'user', content });

async function findingsIn(
  item: unknown,
  options: RedactorOptions = {},
): Promise<readonly RedactionFinding[]> {
  return (await createRedactor(options).redactItems([item as AgentInputItem])).findings;
}

const pathsOf = (findings: readonly RedactionFinding[]): string => findings.map(({ path }) => path).join(' ');

describe.each(Object.entries(ITEMS))('in %s', (_name, itemWith) => {
  test.each(KEYS)('the key %s is * in the path of a find', async (key) => {
    const findings = await findingsIn(itemWith(key));
    expect(findings.map(({ entityType }) => entityType)).toContain('EMAIL_ADDRESS');
    expect(pathsOf(findings)).not.toContain(key);
    expect(pathsOf(findings)).toContain('*');
  });

  test('a key that is no find of the entities in use is *, too', async () => {
    const findings = await findingsIn(itemWith('AKIAIOSFODNN7QWERTYU'), { entities: ['EMAIL_ADDRESS'] });
    expect(pathsOf(findings)).not.toContain('AKIA');
    expect(findings).toHaveLength(1);
  });

  test.each(['keep', 'mask'] as const)('a key with a find that is left by %s is *', async (operator) => {
    const options = { denyList: { PERSON: ['Ada'] }, operators: { PERSON: operator } } as const;
    const findings = await findingsIn(itemWith('Ada'), options);
    expect(findings.length).toBeGreaterThan(1);
    expect(pathsOf(findings)).not.toContain('Ada');
  });

  test('the finds of an asynchronous recognizer are not shown either', async () => {
    const names: Recognizer = {
      name: 'names',
      entities: ['PERSON'],
      async analyze(text) {
        const start = text.indexOf('Ada');
        return start < 0 ? [] : [{ entityType: 'PERSON', start, end: start + 3, score: 1 }];
      },
    };
    const findings = await findingsIn(itemWith('Ada'), { recognizers: [names] });
    expect(findings.length).toBeGreaterThan(1);
    expect(pathsOf(findings)).not.toContain('Ada');
  });

  test.each(['customer', 'billingAddress2', 'line_1', 'ipv4', 'access_token', 'x-request-id', 'Kunde'])(
    'the name %s is shown',
    async (key) => {
      expect(pathsOf(await findingsIn(itemWith(key)))).toContain(key);
    },
  );
});

test('the paths of operators, transforms and unsearched texts hold no such key either', async () => {
  const paths: string[] = [];
  const note = (text: string, { path }: { readonly path: string }): string => {
    paths.push(path);
    return text === 'jane@acme.com' ? 'someone' : text;
  };
  const encoded = Buffer.from(Array.from({ length: 600 }, (_, index) => (index * 167) % 256)).toString(
    'base64',
  );
  const item = call(JSON.stringify({ Ada: { mail: 'jane@acme.com', encoded } }));
  const redactor = createRedactor({
    denyList: { PERSON: ['Ada'] },
    operators: { EMAIL_ADDRESS: { type: 'custom', apply: note } },
    transform: note,
  });
  const { unsearched } = await redactor.redactItems([item as AgentInputItem]);
  expect(unsearched.map(({ path }) => path)).toEqual(['arguments.*.encoded']);
  expect(new Set(paths)).toEqual(new Set(['arguments.*.mail', 'arguments.*.encoded']));
});
