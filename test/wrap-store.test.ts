import { MemorySession, type AgentInputItem } from '@openai/agents';
import { describe, expect, test, vi } from 'vitest';
import type { SessionCall, SessionLayer } from '../src/layer.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { fakeClock } from '../src/testing/fake-clock.ts';
import { wrapStore } from '../src/wrap-store.ts';

const hello: AgentInputItem = { type: 'message', role: 'user', content: 'hello' };

/** Stamps entries, and notes what it is asked. */
function stamping(clock: () => number): SessionLayer & { readonly calls: SessionCall[] } {
  const calls: SessionCall[] = [];
  return {
    name: 'stamping',
    stamps: true,
    clock,
    calls,
    write: (entries) =>
      entries.map((entry) => ({ ...entry, header: { ...entry.header, t: clock(), e: clock() + 10 } })),
    mutation: (call) => {
      calls.push(call);
      return { done: () => undefined };
    },
  };
}

describe('wrapStore', () => {
  test('gives wrapped sessions, the same object for the same id', async () => {
    await using store = openSqlite(':memory:');
    const sessions = wrapStore(store, [stamping(fakeClock())]);
    const session = sessions.session('a');
    expect(sessions.session('a')).toBe(session);
    expect(sessions.session('b')).not.toBe(session);
    await session.addItems([hello]);
    expect(await session.getItems()).toEqual([hello]);
    expect(JSON.stringify(await store.session('a').getItems())).toContain('sr1.');
    expect(session.applyHistoryTransaction).toBeTypeOf('function');
  });

  test('makes no weak map for one more session, which the garbage collector would look at each time', async () => {
    await using store = openSqlite(':memory:');
    const sessions = wrapStore(store, [stamping(fakeClock())]);
    await sessions.session('a').addItems([hello]);
    const made = vi.fn();
    vi.stubGlobal(
      'WeakMap',
      class extends WeakMap<object, unknown> {
        constructor() {
          super();
          made();
        }
      },
    );
    try {
      await sessions.session('b').addItems([hello]);
    } finally {
      vi.unstubAllGlobals();
    }
    expect(made).not.toHaveBeenCalled();
  });

  test('lists, purges and closes through the store, without the layers', async () => {
    const clock = fakeClock();
    const store = openSqlite(':memory:', { clock });
    const layer = stamping(clock);
    const sessions = wrapStore(store, [layer]);
    await sessions.session('a').addItems([hello]);
    await sessions.session('b').addItems([hello]);
    const ids: string[] = [];
    for await (const { id } of sessions.sessions()) ids.push(id);
    expect(ids).toEqual(['a', 'b']);
    clock.advance(10);
    expect(await sessions.purgeExpired()).toEqual({ items: 2, sessions: 2 });
    expect(layer.calls.map(({ kind }) => kind)).toEqual(['addItems', 'addItems']);
    await sessions.ping();
    await sessions.close();
    expect(() => sessions.session('a')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }) as Error);
    await sessions[Symbol.asyncDispose]();
  });

  test('deletes a session through the layers', async () => {
    await using store = openSqlite(':memory:');
    const layer = stamping(fakeClock());
    const sessions = wrapStore(store, [layer]);
    const session = sessions.session('a');
    await session.addItems([hello]);
    await sessions.deleteSession('a');
    expect(layer.calls.map(({ kind, sessionId }) => [kind, sessionId])).toEqual([
      ['addItems', 'a'],
      ['deleteSession', 'a'],
    ]);
    expect(await session.getItems()).toEqual([]);
    await session.addItems([hello]);
    expect(await session.getItems()).toEqual([hello]);
  });

  test('refuses a value that is not a store, and a stack that cannot work, before any session is opened', async () => {
    await using store = openSqlite(':memory:');
    expect(() => wrapStore(new MemorySession() as never, [])).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: 'wrapStore: store must be a store, as openSqlite() makes, got an object.',
      }) as Error,
    );
    const seal: SessionLayer = { name: 'seal', seals: true };
    expect(() => wrapStore(store, [seal, stamping(fakeClock())])).toThrow(
      expect.objectContaining({ code: 'ERR_LAYER_ORDER' }) as Error,
    );
    expect(() => wrapStore(store, [], { maxItemBytes: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error,
    );
  });
});
