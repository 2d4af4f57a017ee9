import { MemorySession, type AgentInputItem } from '@openai/agents';
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

it('hashes the binding context of a session once, and for each call where the context is asked for', async () => {
  const { wrapSession } = await import('../../src/index.ts');
  for (const [layer, hashes] of [
    [await sealing(), 0],
    [await sealing(() => ({ tenant: 'a' })), 2],
  ] as const) {
    const session = wrapSession(new MemorySession(), [layer]);
    await session.addItems([item]);
    const hash = vi.spyOn(node, 'createHash');
    await session.addItems([item]);
    await session.getItems();
    expect(hash.mock.calls.length).toBe(hashes);
    hash.mockRestore();
  }
});
