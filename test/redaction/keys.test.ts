import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { redact } from '../../src/layers/redact.ts';
import { createRedactor } from '../../src/redaction/index.ts';
import { throughWrite } from './layer-call.ts';

const ADDRESS = 'jane.roe@acme.com';

async function stored(fields: object): Promise<string> {
  const item = { type: 'unknown', ...fields } as unknown as AgentInputItem;
  return JSON.stringify(await throughWrite(redact(), item));
}

describe('a key excludes its value by whole words', () => {
  test.each([
    'paid',
    'covid',
    'android',
    'hybrid',
    'bids',
    'void',
    'grid',
    'avoid',
    'Kids',
    'unencryptedly',
    'email_id',
    'apple_id',
  ])('in providerData %s protects nothing', async (key) => {
    expect(await stored({ providerData: { [key]: ADDRESS } })).not.toContain('jane');
    expect(await stored({ providerData: { [key]: [{ deep: ADDRESS }] } })).not.toContain('jane');
  });

  test.each([
    'id',
    'ids',
    'response_id',
    'toolCallIds',
    'call_id',
    'callId',
    'itemID',
    'encrypted_content',
    'thoughtSignature',
    'type',
  ])('in providerData %s protects the text that it names', async (key) => {
    expect(await stored({ providerData: { [key]: ADDRESS } })).toContain(ADDRESS);
    expect(await stored({ providerData: { [key]: [ADDRESS] } })).toContain(ADDRESS);
  });

  test.each(['id', 'response_id', 'status', 'type', 'signature', 'encrypted_content', 'call_id'])(
    'and hides nothing of an object below %s, in providerData and beside it',
    async (key) => {
      for (const value of [{ note: ADDRESS }, [{ note: ADDRESS }], [[{ note: [ADDRESS] }]]]) {
        expect(await stored({ providerData: { [key]: value } })).not.toContain('jane');
        expect(await stored({ type: 'unknown', scene: { [key]: value } })).not.toContain('jane');
      }
    },
  );
});

describe('a key that names a personal number does not exclude it', () => {
  const redactor = createRedactor({ countries: ['DE', 'US', 'IN', 'GB', 'ES', 'IT', 'PL', 'AU'] });
  const numbers = [
    ['steuer', '86095742719', 'DE_TAX_ID'],
    ['taxpayer', '123456789', 'US_SSN'],
    ['ssn', '123456789', 'US_SSN'],
    ['aadhaar', '234123412346', 'IN_AADHAAR'],
    ['pesel', '44051401359', 'PL_PESEL'],
    ['tfn', '123456782', 'AU_TFN'],
  ] as const;
  const forms: readonly ((name: string, value: string) => string)[] = [
    (name, value) => JSON.stringify({ [`${name}_id`]: value }),
    (name, value) => JSON.stringify({ [`${name}Id`]: value }),
    (name, value) => JSON.stringify({ [`${name}-ID`]: value }),
    (name, value) => JSON.stringify({ [`${name}id`]: value }),
    (name, value) => JSON.stringify({ [`${name.toUpperCase()}_ID`]: value }),
    (name, value) => JSON.stringify({ [`${name} ID number`]: value }),
    (name, value) => `{"${name}_number": ${value}}`,
    (name, value) => `${name}-ID ${value}`,
    (name, value) => `${name.toUpperCase()} ID: ${value}`,
  ];

  test.each(
    numbers.flatMap(([name, value, entity]) =>
      forms.map((form) => [form(name, value), value, entity] as const),
    ),
  )('%s', async (text, value, entity) => {
    const redacted = await redactor.redactText(text);
    expect(redacted).not.toContain(value);
    expect(redacted).toContain(`<${entity}>`);
  });

  test.each([
    '{"order_id":"86095742719"}',
    '{"tax_order_id":"123456782"}',
    '{"ssn_request_id":"123456789"}',
    '{"card_id":"234123412346"}',
  ])('%s is an id of a thing', async (text) => {
    expect(await redactor.redactText(text)).toBe(text);
  });
});
