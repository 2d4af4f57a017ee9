import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AgentInputItem, Session } from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rounds } from '../support/soak.ts';
import { audit, cache, encrypt, expire, wrapStore, type Layers } from '../../src/index.ts';
import { cloneItem } from '../../src/protocol/item.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { assertNoPlaintext, fixedKeyring } from '../../src/testing/index.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { item } from '../support/arbitraries.ts';
import { calls } from '../support/calls.ts';
import { recordedConversations } from '../support/conversations-data.ts';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { NAIVE, STACKS, type StackCase } from '../support/stacks.ts';

const file = temporaryFolder();

/** Random characters that no structure contains. */
const canary = fc.string({
  unit: fc.constantFrom(...'abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRSTUVWXYZ2345679'.split('')),
  minLength: 16,
  maxLength: 16,
});

/** Items in whose every text a canary stands. */
const marked = fc
  .array(fc.tuple(item, canary), { minLength: 1, maxLength: 6 })
  .map((pairs) =>
    pairs.map(
      ([value, mark]) =>
        [mapTexts(value, (text) => `${text.slice(0, 8)}${mark}${text.slice(8)}`), mark] as const,
    ),
  );

/** Changes the texts that people and tools wrote; ids, types and names stay valid. */
function mapTexts(value: AgentInputItem, change: (text: string) => string): AgentInputItem {
  const copy = cloneItem(value) as unknown as Record<string, unknown>;
  for (const key of ['content', 'output', 'arguments', 'encrypted_content', 'code'] as const) {
    if (key in copy) copy[key] = mapText(copy[key], change);
  }
  return { ...copy, providerData: { note: change('a note of the provider') } } as unknown as AgentInputItem;
}

function mapText(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((part: unknown) => mapText(part, change));
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = { ...value };
  for (const key of ['text', 'refusal', 'transcript', 'stdout', 'stderr']) {
    if (typeof copy[key] === 'string') copy[key] = change(copy[key]);
  }
  return copy;
}

/** Writes, reads, pops and writes again, by every way that the session offers. */
async function live(
  session: Session,
  inner: { runContext?: Parameters<typeof calls>[1] },
  items: readonly AgentInputItem[],
): Promise<void> {
  const caller = calls(session, inner.runContext);
  await caller.addItems(items.map(cloneItem));
  await caller.getItems();
  await caller.popItem();
  const [first] = items as [AgentInputItem];
  await caller.addItems([cloneItem(first)]);
  const transacting = session as Partial<{ applyHistoryTransaction(args: unknown): Promise<void> }>;
  await transacting.applyHistoryTransaction?.({
    operationId: 'one',
    transaction: { type: 'append_items', items: items.map(cloneItem) },
  });
  await transacting.applyHistoryTransaction?.({
    operationId: 'two',
    transaction: {
      type: 'replace_suffix',
      expectedSuffix: (await caller.getItems()).slice(-1),
      replacement: [cloneItem(first), cloneItem(first)],
    },
  });
  await caller.replaceHistoryWithCompaction([
    { type: 'compaction', encrypted_content: 'opaque' },
    ...items.map(cloneItem),
  ]);
}

async function keepsSecret(
  innerCase: InnerCase,
  stack: StackCase,
  pairs: readonly (readonly [AgentInputItem, string])[],
): Promise<void> {
  const stored: string[] = [];
  for (const items of [
    pairs.map(([value]) => value),
    pairs.map(([value]) => mapTexts(value, () => 'Something else.')),
  ]) {
    const inner = innerCase.open();
    await live(stack.wrap(inner.session), inner, items);
    stored.push(JSON.stringify(await inner.raw()));
    await inner.close?.();
  }
  const [real = '', control = ''] = stored;
  assertNoPlaintext(
    real,
    pairs.map(([value]) => value),
    { control },
  );
  assertNoPlaintext(
    real,
    pairs.map(([, mark]) => mark),
  );
}

async function property(inner: InnerCase, stack: StackCase, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(marked, async (pairs) => keepsSecret(inner, stack, pairs)),
    { numRuns },
  );
}

describe('no text that went through a sealing stack can be read in the store', () => {
  describe.each(STACKS.filter(({ hides }) => hides === 'everything'))('under $name', (stack) => {
    test.each(INNERS)('around $name', async (inner) => {
      await expect(property(inner, stack, rounds(10, 25))).resolves.toBeUndefined();
    });
  });

  test.each(INNERS.filter((inner) => inner.transactions))(
    'but under the naive proxy around $name it can',
    async (inner) => {
      await expect(property(inner, NAIVE, 25)).rejects.toThrow('Property failed');
    },
  );

  test('and the check finds text of an unsealed stack in clear or in Base64', async () => {
    const memory = INNERS.find(({ name }) => name === 'MemorySession') as InnerCase;
    for (const stack of STACKS.filter(
      ({ hides, compresses }) => hides === 'nothing' && compresses !== true,
    )) {
      await expect(property(memory, stack, 5)).rejects.toThrow('Property failed');
    }
  });
});

describe('all recorded conversations', () => {
  const conversations = recordedConversations();
  const layers = (): Layers => [
    audit({ sink: () => undefined }),
    expire({ after: '30d' }),
    cache({ maxItems: 50_000 }),
    encrypt({ keys: fixedKeyring() }),
  ];

  test.skipIf(conversations === undefined)(
    'come back equal in another process, and cannot be read in the file',
    async () => {
      const write = async (
        name: string,
        change: (item: AgentInputItem) => AgentInputItem,
      ): Promise<Uint8Array> => {
        const sessions = wrapStore(openSqlite(file(name)), layers());
        for (const { id, items } of conversations ?? [])
          await sessions.session(id).addItems(items.map(change));
        await sessions.close();
        return bytesOf(file(name));
      };
      const control = await write('control.db', (value) => mapTexts(value, () => 'Something else entirely.'));
      const stored = await write('conversations.db', (value) => value);

      const again = wrapStore(openSqlite(file('conversations.db')), layers());
      const changed: string[] = [];
      for (const { id, items } of conversations ?? []) {
        if (JSON.stringify(await again.session(id).getItems()) !== JSON.stringify(items)) changed.push(id);
      }
      await again.close();
      expect(changed).toEqual([]);
      assertNoPlaintext(
        stored,
        (conversations ?? []).map(({ items }) => items),
        { control },
      );
    },
    60_000,
  );
});

/** A database with everything that lies beside it (write-ahead log, shared memory). */
function bytesOf(path: string): Uint8Array {
  const parts = readdirSync(dirname(path))
    .filter((name) => name.startsWith(basename(path)))
    .map((name) => readFileSync(join(dirname(path), name)));
  return Buffer.concat(parts);
}
