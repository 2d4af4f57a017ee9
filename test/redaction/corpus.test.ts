import { existsSync, readFileSync } from 'node:fs';
import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { redact } from '../../src/layers/redact.ts';
import { textOf, throughWrite, userMessage } from './layer-call.ts';

const DATA = new URL('../../../shared/data/', import.meta.url);
const CONVERSATIONS = new URL('conversations.jsonl', DATA);
const IDS = new URL('ids.json', DATA);
const present = existsSync(CONVERSATIONS) && existsSync(IDS);
if (!present) console.warn('skipped: the shared conversations and ids are not here');

test('the shared data is here when continuous integration runs', () => {
  expect(present || process.env['CI'] === undefined).toBe(true);
});

describe.runIf(present)('over the shared conversations', () => {
  const items = (): AgentInputItem[] =>
    readFileSync(CONVERSATIONS, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) => (JSON.parse(line) as { items: AgentInputItem[] }).items);

  test('every address is found, nothing else is changed, and JSON stays equal', async () => {
    const layer = redact();
    const address = /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g;
    let found = 0;
    for (const item of items()) {
      const before = JSON.stringify(item);
      found += before.match(address)?.length ?? 0;
      const stored = await throughWrite(layer, item);
      // Exact: what is expected is the input with its addresses replaced, so every id is where it was.
      expect(JSON.stringify(stored)).toBe(before.replace(address, '<EMAIL_ADDRESS>'));
      expect(await throughWrite(layer, stored)).toBe(stored);
      expect(layer.compare?.(item)).toEqual(stored);
    }
    expect(found).toBeGreaterThan(50);
  }, 60_000);
});

describe.runIf(present)('over the ids of a shop', () => {
  const ids = Object.values(
    (existsSync(IDS) ? JSON.parse(readFileSync(IDS, 'utf8')) : {}) as Record<string, string[]>,
  ).flat();
  const sentences: readonly ((id: string) => string)[] = [
    (id) => id,
    (id) => `Where is ${id}?`,
    (id) => `Please call me about ${id}, or contact the shop.`,
    (id) => `call ${id}`,
    (id) => `contact: ${id}`,
    (id) => `My phone is broken, the item ${id} never came.`,
    (id) => `the phone ${id} and the phone case ${id}`,
    (id) => `I paid by card for ${id}`,
    (id) => `payment ${id}`,
    (id) => `payment card for order ${id}, card ending in 1234`,
    (id) => `tracking number: ${id}`,
    (id) => `${id} ${id} ${id}`,
    (id) => `https://shop.test/items/${id}?ref=${id}`,
    (id) => JSON.stringify({ product_id: id, item_ids: [id, id], phone_case: id, payment_id: id }),
    (id) => JSON.stringify({ contact: { order: id }, call: id, cardinality: id, payment: { ref: id } }),
    (id) => JSON.stringify({ items: { [id]: { price: 12.5, options: { color: 'red' } } } }, undefined, 2),
    (id) => `{"product_id": ${id.replace(/\D/g, '')}, "tracking": [${id.replace(/\D/g, '')}]}`,
    (id) => `| ${id} | 2 | $14.99 |\n| ${id} | 1 | $3.00 |`,
    (id) => `order_id=${id}&item=${id}`,
  ];

  test.each(sentences.map((sentence) => [sentence('…'), sentence] as const))(
    'no id is touched in: %s',
    async (_shown, sentence) => {
      const layer = redact();
      for (const id of ids) {
        const text = sentence(id);
        expect(textOf(await throughWrite(layer, userMessage(text)))).toBe(text);
      }
    },
    60_000,
  );
});
