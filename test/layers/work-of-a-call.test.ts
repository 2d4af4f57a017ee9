import { MemorySession, type AgentInputItem } from '@openai/agents';
import { createHook } from 'node:async_hooks';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { SessionLayer } from '../../src/index.ts';

// Counts of what one call does where it can be done less often. Timings decide nothing.

const node = process.getBuiltinModule('node:crypto');
const item: AgentInputItem = { type: 'message', role: 'user', content: 'Hello' };

// Other tests of this process load the modules with another `node:crypto`.
beforeEach(() => void vi.resetModules());
afterEach(() => void vi.restoreAllMocks());

async function sealing(context?: () => Record<string, string>): Promise<SessionLayer> {
  const { encrypt, generateKey, keyring } = await import('../../src/index.ts');
  return encrypt({ keys: keyring({ current: await generateKey() }), ...(context && { context }) });
}

it('hashes the binding context of a session once, or for each call when the context is a function', async () => {
  const { wrapSession } = await import('../../src/index.ts');
  for (const [layer, hashes] of [
    [await sealing(), 0],
    [await sealing(() => ({ tenant: 'a' })), 2],
  ] as const) {
    const session = wrapSession(new MemorySession(), [layer]);
    await session.addItems([item]);
    const hash = vi.spyOn(node, 'hash');
    await session.addItems([item]);
    await session.getItems();
    const ofContexts = hash.mock.calls.filter(([, data]) =>
      Buffer.from(data as Uint8Array).includes('sr1/ctx'),
    );
    expect(ofContexts).toHaveLength(hashes);
    hash.mockRestore();
  }
});

/** Promises that are made while `work` runs. */
async function promisesMade(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') count++;
    },
  });
  hook.enable();
  await work();
  hook.disable();
  return count;
}

it('creates no promise when the session, the queue, the cache key and the data key are known', async () => {
  const { cache, expire, setTimeSlice, wrapSession } = await import('../../src/index.ts');
  // A pause in the middle of the work makes promises of its own.
  setTimeSlice('1h');
  const { openSqlite } = await import('../../src/stores/sqlite.ts');
  await using store = openSqlite(':memory:');
  const layers = [expire({ after: '30d' }), cache({ maxItems: 1_000 }), await sealing()];
  const session = wrapSession(store.session('s'), layers);
  for (let turn = 0; turn < 3; turn++) {
    await session.getItems();
    await session.addItems([item]);
  }
  await session.getItems();
  // With a promise for each of them it was 75 and 91, and a read of a session that answers at once had 54.
  expect(await promisesMade(() => session.getItems())).toBeLessThanOrEqual(12);
  expect(await promisesMade(() => session.addItems([item]))).toBeLessThanOrEqual(40);
});
