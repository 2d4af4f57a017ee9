import { MemorySession, type AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { createShare, MAX_REMEMBERED_BYTES, rememberedBytes } from '../../src/engine/budget.ts';
import { envelopeText, parseEnvelope } from '../../src/protocol/envelope.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import type { SessionLayer } from '../../src/layer.ts';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { recordingSession } from '../../src/testing/recording-session.ts';
import { wrapSession, type Wrapped } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { functionCall, functionResult, userMessage } from '../layers/hand-made-call.ts';
import { collectGarbage } from '../support/garbage.ts';

const HOUR = 3_600_000;
const keys = keyring({ current: await generateKey() });
const clock = fakeClock();
const layers = (): SessionLayer[] => [expire({ after: '30d', clock }), encrypt({ keys })];
const long = (text: string): AgentInputItem => userMessage(text.padEnd(1_000, '.'));

/** By how many hours the life of each record is shorter than that of one written now. */
async function livesOf(inner: MemorySession): Promise<number[]> {
  return (await inner.getItems()).map((record) => {
    const { e = 0 } = parseEnvelope(envelopeText(record) as string).header;
    return (e - clock()) / HOUR - 30 * 24;
  });
}

/** Makes everybody else forget what is remembered. */
function crowdOut(): void {
  const share = createShare(() => undefined);
  share.use(MAX_REMEMBERED_BYTES);
  share.use(0);
}

describe('the state of wrappers', () => {
  it('is within one bound for all of them, the least recently used evicted first', () => {
    crowdOut();
    const forgotten: string[] = [];
    const share = (name: string) => createShare(() => forgotten.push(name));
    const [a, b, c] = [share('a'), share('b'), share('c')];
    const before = rememberedBytes();
    a.use(MAX_REMEMBERED_BYTES / 2 - before);
    b.use(MAX_REMEMBERED_BYTES / 4);
    a.use(MAX_REMEMBERED_BYTES / 2 - before);
    c.use(MAX_REMEMBERED_BYTES / 2);
    expect(forgotten).toEqual(['b']);
    expect(rememberedBytes()).toBe(MAX_REMEMBERED_BYTES);
    c.use(MAX_REMEMBERED_BYTES + 1);
    expect(forgotten).toEqual(['b', 'a', 'c']);
    expect(rememberedBytes()).toBe(0);
  });

  it('is released with the wrapper', async () => {
    crowdOut();
    await (async () => {
      const session = wrapSession(new MemorySession(), layers());
      await session.addItems([functionCall('a')]);
      expect(rememberedBytes()).toBeGreaterThan(0);
    })();
    await collectGarbage();
    expect(rememberedBytes()).toBe(0);
  });

  it('holds no message after reads and writes, and nothing after a clear or a deletion', async () => {
    crowdOut();
    await using store = openSqlite(':memory:');
    const sessions = wrapStore(store, layers());
    for (const end of ['clear', 'delete']) {
      const session = sessions.session('s');
      await session.addItems(Array.from({ length: 100 }, (_, index) => long(`m${index}`)));
      expect(rememberedBytes()).toBe(0);
      expect(await session.getItems()).toHaveLength(100);
      // The headers of a full read.
      expect(rememberedBytes()).toBe(100 * 256);
      await session.addItems([functionCall('a')]);
      await session.applyHistoryTransaction({
        operationId: end,
        transaction: { type: 'append_items', items: [long('t')] },
      });
      expect(rememberedBytes()).toBeGreaterThan(100 * 256 + 1_000);
      await (end === 'clear' ? session.clearSession() : sessions.deleteSession('s'));
      expect(rememberedBytes()).toBe(0);
    }
  });

  it.each(['with a cache', 'without'])('lets go of what a caller read and dropped, %s', async (how) => {
    const inner = new MemorySession();
    const kept = cache({ maxItems: 1_000 });
    const session = wrapSession(inner, [
      expire({ after: '30d', clock }),
      ...(how === 'without' ? [] : [kept]),
      encrypt({ keys }),
    ]);
    await session.addItems(Array.from({ length: 40 }, (_, index) => long(`m${index}`)));
    const references: WeakRef<AgentInputItem>[] = [];
    const read = async (): Promise<AgentInputItem[]> => {
      const items = await session.getItems();
      references.push(...items.map((item) => new WeakRef(item)));
      return items;
    };
    for (let time = 0; time < 4; time++) await read();
    await session.popItem();
    let held: AgentInputItem | undefined = (await read()).at(-1);
    await collectGarbage();
    const alive = (): number => references.filter((reference) => reference.deref() !== undefined).length;
    // One of them holds its read, because it may be written back with others.
    expect(alive()).toBe(39);
    held = undefined;
    await collectGarbage();
    expect(alive()).toBe(0);
    expect(held).toBeUndefined();
  });

  async function rolledBack(between: (session: Wrapped<MemorySession>) => Promise<void>): Promise<number[]> {
    const inner = new MemorySession();
    const session = wrapSession(inner, layers());
    await session.addItems([userMessage('a'), userMessage('b')]);
    clock.advance(HOUR);
    const items = await session.getItems();
    await session.popItem();
    await session.popItem();
    await between(session);
    await session.addItems(items);
    return livesOf(inner);
  }

  it('is enough for a rollback: items that are written back keep their stamps, after an eviction and after a clear', async () => {
    expect(await rolledBack(async () => undefined)).toEqual([-1, -1]);
    expect(
      await rolledBack(async () => {
        crowdOut();
        await collectGarbage();
      }),
    ).toEqual([-1, -1]);
    expect(await rolledBack(async (session) => session.clearSession())).toEqual([-1, -1]);
  });

  it.each(['remembered', 'crowded out'])('gives a late result the stamps of its call: %s', async (how) => {
    const inner = new MemorySession();
    const recording = recordingSession(inner);
    const session = wrapSession(recording.session, layers());
    await session.addItems([functionCall('a'), userMessage('b')]);
    clock.advance(HOUR);
    if (how === 'crowded out') crowdOut();
    recording.reset();
    await session.addItems([functionResult('a')]);
    expect(recording.itemsRead).toBe(how === 'crowded out' ? 2 : 0);
    expect(await livesOf(inner)).toEqual([-1, -1, -1]);
  });

  it.each(['remembered', 'crowded out'])(
    'lets a compaction expire with what a clear before it removed: %s',
    async (how) => {
      const inner = new MemorySession();
      const session = wrapSession(inner, layers());
      await session.addItems([userMessage('a'), userMessage('b')]);
      clock.advance(HOUR);
      expect(await session.getItems()).toHaveLength(2);
      if (how === 'crowded out') crowdOut();
      await session.clearSession();
      await session.addItems([{ type: 'compaction', encrypted_content: 'x' }]);
      expect(await livesOf(inner)).toEqual([-1]);
    },
  );

  it.each(['remembered', 'crowded out'])('does a repeated transaction once: %s', async (how) => {
    const inner = new MemorySession();
    const session = wrapSession(inner, layers());
    const args = (text: string) => ({
      operationId: 'operation',
      transaction: { type: 'append_items' as const, items: [userMessage(text)] },
    });
    await session.applyHistoryTransaction(args('a'));
    if (how === 'crowded out') crowdOut();
    await session.applyHistoryTransaction(args('a'));
    expect(await session.getItems()).toEqual([userMessage('a')]);
    await expect(session.applyHistoryTransaction(args('b'))).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });
});
