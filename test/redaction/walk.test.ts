import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { redact } from '../../src/layers/redact.ts';
import { itemsWith, protectedItemsWith } from './every-item.ts';
import { throughWrite } from './layer-call.ts';

const ADDRESS = 'jane.roe@acme.com';

describe('the item walker', () => {
  test.each(itemsWith(ADDRESS).map(({ name, item }) => [name, item] as const))(
    'an address in %s is not stored',
    async (_name, item) => {
      expect(JSON.stringify(item)).toContain(ADDRESS);
      const stored = await throughWrite(redact(), item);
      expect(JSON.stringify(stored)).not.toContain('jane');
      expect(JSON.stringify(stored)).toContain('<EMAIL_ADDRESS>');
    },
  );

  test.each(itemsWith(ADDRESS).map(({ name, item }) => [name, item] as const))(
    'redacting %s twice changes nothing more, and comparing it is the same',
    async (_name, item) => {
      const layer = redact();
      const once = await throughWrite(layer, item);
      expect(await throughWrite(layer, once)).toEqual(once);
      expect(layer.compare?.(item)).toEqual(once);
      expect(layer.compare?.(once)).toEqual(once);
    },
  );

  test.each(protectedItemsWith(ADDRESS).map(({ name, item }) => [name, item] as const))(
    '%s is never edited',
    async (_name, item) => {
      expect(await throughWrite(redact(), item)).toBe(item);
    },
  );

  test('an item of an unknown type is walked, except ids', async () => {
    const item = {
      type: 'hologram_call',
      id: ADDRESS,
      callId: ADDRESS,
      scene: { caption: `for ${ADDRESS}`, layers: [{ label: ADDRESS }] },
    } as unknown as AgentInputItem;
    expect(await throughWrite(redact(), item)).toEqual({
      type: 'hologram_call',
      id: ADDRESS,
      callId: ADDRESS,
      scene: { caption: 'for <EMAIL_ADDRESS>', layers: [{ label: '<EMAIL_ADDRESS>' }] },
    });
  });

  test('nothing of an item of an unknown type is safe by its name alone', async () => {
    const item = {
      type: 'hologram_call',
      data: ADDRESS,
      detail: [ADDRESS],
      name: ADDRESS,
      outcome: { created_by: ADDRESS, [ADDRESS]: 'owner' },
      phone: 4_155_552_671,
      count: 4_155_552,
    } as unknown as AgentInputItem;
    expect(await throughWrite(redact(), item)).toEqual({
      type: 'hologram_call',
      data: '<EMAIL_ADDRESS>',
      detail: ['<EMAIL_ADDRESS>'],
      name: '<EMAIL_ADDRESS>',
      outcome: { created_by: '<EMAIL_ADDRESS>', '<EMAIL_ADDRESS>': 'owner' },
      phone: '<PHONE_NUMBER>',
      count: 4_155_552,
    });
  });

  test('numbers in providerData are searched by their keys, and numbers that name nothing stay', async () => {
    const kept = { created_at: 1_732_800_000, response_id: 4_155_552_671, tokens: 1_234_567, price: 19.99 };
    const item: AgentInputItem = {
      role: 'user',
      content: 'hi',
      providerData: {
        ...kept,
        phone: 4_155_552_671,
        card_number: 4_111_111_111_111_111,
        password: 12_345_678,
      },
    };
    const stored = await throughWrite(redact(), item);
    expect(stored.providerData).toEqual({
      ...kept,
      phone: '<PHONE_NUMBER>',
      card_number: '<CREDIT_CARD>',
      password: '<PASSWORD>',
    });
    expect(redact().compare?.(item)).toEqual(stored);
  });

  test.each([
    [
      ['My SSN: ', '078051120'],
      ['My SSN: ', '<US_SSN>'],
    ],
    [
      ['DB_PASSWORD=', 'letmein99'],
      ['DB_PASSWORD=', '<PASSWORD>'],
    ],
    [
      ['phone: ', '4155552671', ' or mail'],
      ['phone: ', '<PHONE_NUMBER>', ' or mail'],
    ],
    [
      ['order ', '4155552', ' is late'],
      ['order ', '4155552', ' is late'],
    ],
  ])('a label in one part says what the next part is: %j', async (parts, expected) => {
    const message = (texts: readonly string[]): AgentInputItem => ({
      role: 'user',
      content: texts.map((text) => ({ type: 'input_text', text })),
    });
    const stored = await throughWrite(redact(), message(parts));
    expect(stored).toEqual(message(expected));
    expect(await throughWrite(redact(), stored)).toEqual(stored);
  });

  test('token probabilities are dropped with the text that they repeat, and kept with a text that is kept', async () => {
    const message = (text: string): AgentInputItem => ({
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [
        { type: 'output_text', text, providerData: { logprobs: [{ token: text }], annotations: [] } },
      ],
    });
    const changed = await throughWrite(redact(), message(ADDRESS));
    expect(JSON.stringify(changed)).not.toContain('logprobs');
    const kept = message('nothing here');
    expect(await throughWrite(redact(), kept)).toBe(kept);
  });

  test('two keys that become equal lose no value', async () => {
    const item: AgentInputItem = {
      type: 'tool_search_call',
      arguments: { 'a@acme.com': 1, 'b@acme.com': 2, '<EMAIL_ADDRESS>': 3 },
    };
    expect(await throughWrite(redact(), item)).toMatchObject({
      arguments: { '<EMAIL_ADDRESS>': 3, '<EMAIL_ADDRESS>_2': 1, '<EMAIL_ADDRESS>_3': 2 },
    });
  });

  test('a field that is undefined stays undefined, also when comparisons see no text', async () => {
    const item = {
      type: 'function_call',
      callId: 'c',
      name: 'f',
      arguments: 'x',
      providerData: undefined,
    } as never;
    const layer = redact({ transform: async (text) => text });
    expect(Object.entries(layer.compare?.(item) ?? {})).toContainEqual(['providerData', undefined]);
  });

  test('the given items are not changed', async () => {
    for (const { item } of itemsWith(ADDRESS)) {
      const before = JSON.stringify(item);
      await throughWrite(redact(), item);
      expect(JSON.stringify(item)).toBe(before);
    }
  });

  test('an accessor that redacts another item hides no text of its own', async () => {
    const layer = redact();
    const item = {
      type: 'message',
      role: 'user',
      content: ADDRESS,
      get note(): string {
        return String(layer.compare?.({ type: 'message', role: 'user', content: ADDRESS }).type);
      },
    } as AgentInputItem;
    expect(await throughWrite(layer, item)).toMatchObject({ content: '<EMAIL_ADDRESS>' });
  });

  test('a number in JSON text is found behind characters that folding omits', async () => {
    const item: AgentInputItem = {
      type: 'function_call',
      callId: 'c',
      name: 'f',
      arguments: `{"note":"${'\u00ad'.repeat(60)}","to":"4111 1111 1111 1111"}`,
    };
    expect(await throughWrite(redact(), item)).toMatchObject({
      arguments: expect.stringContaining('"to":"<CREDIT_CARD>"') as string,
    });
  });
});
