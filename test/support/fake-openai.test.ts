import { OpenAIConversationsSession, type AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { userMessage } from '../../src/testing/session-contract.ts';
import { fakeOpenAI } from './fake-openai.ts';

describe('the fake Conversations service', () => {
  test('gives ids, keeps the order over pages of both directions, and deletes', async () => {
    const { client } = fakeOpenAI();
    const session = new OpenAIConversationsSession({ client });
    const texts = Array.from({ length: 45 }, (_, index) => `message ${index}`);
    for (let at = 0; at < texts.length; at += 15) {
      await session.addItems(texts.slice(at, at + 15).map(userMessage));
    }
    const read = (items: AgentInputItem[]): string[] =>
      items.map((item) => (item as { content: { text: string }[] }).content[0]?.text ?? '');
    expect(read(await session.getItems())).toEqual(texts);
    expect(read(await session.getItems(30))).toEqual(texts.slice(-30));
    expect((await session.getItems(1))[0]?.id).toMatch(/^msg_\d+$/);
    expect(read([(await session.popItem()) as AgentInputItem])).toEqual(['message 44']);
    expect(read(await session.getItems())).toEqual(texts.slice(0, 44));
    const before = await session.getSessionId();
    await session.clearSession();
    expect(await session.getSessionId()).not.toBe(before);
  });

  test.each<[string, AgentInputItem[], string]>([
    ['more than 20 items a call', Array.from({ length: 21 }, () => userMessage('x')), 'at most 20 items'],
    [
      'unknown top-level fields',
      [{ ...userMessage('x'), providerData: { kid: 'a' } }],
      "Unknown parameter: 'items[0].kid'",
    ],
    [
      'reasoning without an id',
      [{ type: 'reasoning', content: [], providerData: { encrypted_content: 'x' } }],
      "Missing required parameter: 'items[0].id'",
    ],
    [
      'item types that it does not know',
      [{ type: 'unknown', providerData: { type: 'my_envelope' } }],
      "Invalid value: 'my_envelope'",
    ],
  ])('refuses %s, and stores nothing of the call', async (_, items, message) => {
    const service = fakeOpenAI();
    const session = new OpenAIConversationsSession({ client: service.client });
    await expect(session.addItems([...items])).rejects.toThrow(message);
    expect(service.records(await session.getSessionId())).toEqual([]);
  });

  test('loses the same fields as the service', async () => {
    const { client } = fakeOpenAI();
    const session = new OpenAIConversationsSession({ client });
    await session.addItems([
      { role: 'user', content: [{ type: 'input_image', image: 'https://x.test/a.png', detail: 'high' }] },
      { type: 'function_call_result', callId: 'call_1', name: 'find', status: 'completed', output: 'ok' },
    ]);
    const [image, result] = await session.getItems();
    expect(image).toMatchObject({ content: [{ type: 'input_image', image: 'https://x.test/a.png' }] });
    expect(JSON.stringify(image)).not.toContain('high');
    expect(result).toMatchObject({ type: 'function_call_result', callId: 'call_1', name: 'call_1' });
  });
});
