import { describe, expect, test } from 'vitest';
import { DEFAULT_ENTITIES } from '../../src/redaction/entities.ts';
import { createRedactor, type OperatorOption } from '../../src/redaction/index.ts';

const withUrl = (operators: Readonly<Record<string, OperatorOption>>) =>
  createRedactor({ entities: [...DEFAULT_ENTITIES, 'URL'], decode: ['percent', 'base64'], operators });

describe('a find that is kept does not keep what other recognizers find in it', () => {
  const redactor = withUrl({ URL: 'keep' });

  test.each([
    ['https://x.test/?api_key=4f9d8c7b6a5e4d3c2b1a&x=1', 'https://x.test/?api_key=<API_KEY>&x=1'],
    ['https://x.test/?password=letmein99', 'https://x.test/?password=<PASSWORD>'],
    ['https://x.test/?ssn=078-05-1120', 'https://x.test/?ssn=<US_SSN>'],
    ['https://x.test/?k=sk_live_4eC39HqLyjWDarjtT1zdp7dc', 'https://x.test/?k=<API_KEY>'],
    ['https://u:p4ss@x.test/?tel=%2B14155552671', 'https://u:<PASSWORD_IN_URL>@x.test/?tel=<PHONE_NUMBER>'],
    ['https://x.test/a?b=c', 'https://x.test/a?b=c'],
  ])('%s', async (text, expected) => {
    const { items, findings } = await redactor.redactItems([{ role: 'user', content: text }]);
    expect(items).toEqual([{ role: 'user', content: expected }]);
    expect(findings.filter(({ entityType }) => entityType === 'URL')).toHaveLength(1);
    expect(await redactor.redactText(expected)).toBe(expected);
  });

  test('in Base64, where one find decides for the whole text', async () => {
    const encoded = btoa('see https://x.test/a and sk_live_4eC39HqLyjWDarjtT1zdp7dc now');
    expect(await redactor.redactText(encoded)).toBe('<API_KEY>');
  });

  test('a number that a word makes a telephone number', async () => {
    const kept = createRedactor({ operators: { PHONE_NUMBER: 'keep' } });
    expect(await kept.redactText('phone: 078-05-1120')).toBe('phone: <US_SSN>');
    expect(await kept.redactText('phone: 415-555-2671')).toBe('phone: 415-555-2671');
  });

  test('a proven find that is kept stays, although an unproven one has the same range', async () => {
    const kept = createRedactor({ operators: { CREDIT_CARD: 'keep' } });
    expect(await kept.redactText('phone: 4111111111111111')).toBe('phone: 4111111111111111');
  });
});

test('a find that blocks does so within a longer find that would be replaced', async () => {
  const redactor = withUrl({ API_KEY: 'block' });
  await expect(redactor.redactText('https://x.test/?api_key=4f9d8c7b6a5e4d3c2b1a')).rejects.toMatchObject({
    code: 'ERR_PII_BLOCKED',
    message: expect.stringContaining('contains API_KEY, whose operator is block') as string,
  });
});
