import {
  Agent,
  MemorySession,
  RunContext,
  Runner,
  RunState,
  tool,
  type AgentInputItem,
  type Session,
} from '@openai/agents';
import { assistantMessage, functionCall as modelCall, ScriptedModel } from '@openai/agents/testing';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { counters } from '../../src/crypto/counters.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import type { Entry, SessionLayer } from '../../src/layer.ts';
import { cache, type CacheOptions } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { redact } from '../../src/layers/redact.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { faultySession } from '../../src/testing/faulty-session.ts';
import { recordingSession } from '../../src/testing/recording-session.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { TenantSession } from '../support/context-aware-session.ts';
import { handMadeCall, userMessage } from './hand-made-call.ts';

interface Seal extends SessionLayer {
  /** Records opened so far. */
  opened: number;
  /** Records with this text cannot be opened. */
  unreadable: string | undefined;
  /** Whether what cannot be opened counts as skipped (unreadable), or as gone for good. */
  skips: boolean;
}

/** A sealing layer that counts; what it writes differs each time, as ciphertext does. */
function countingSeal(): Seal {
  let nonce = 0;
  const seal: Seal = {
    name: 'countingSeal',
    seals: true,
    opened: 0,
    unreadable: undefined,
    skips: true,
    write: (entries) =>
      entries.map((entry) => {
        const stored = userMessage(
          `${nonce++}:${JSON.stringify({ item: entry.item, header: entry.header })}`,
        );
        return { ...entry, item: stored, stored };
      }),
    read: (entries, call) =>
      entries.map((entry) => {
        seal.opened += 1;
        const text = (entry.item as unknown as { content: [{ text: string }] }).content[0].text;
        if (seal.unreadable !== undefined && text.includes(seal.unreadable)) {
          if (seal.skips) call.skipped();
          return undefined;
        }
        return { ...(JSON.parse(text.slice(text.indexOf(':') + 1)) as Entry), stored: entry.item };
      }),
  };
  return seal;
}

const messages = (count: number, prefix = 'm'): AgentInputItem[] =>
  Array.from({ length: count }, (_, index) => userMessage(`${prefix}${index}`));
const textsOf = (items: readonly AgentInputItem[]): string[] =>
  items.map((item) => (item as { content: { text: string }[] }).content[0]?.text ?? '');

interface Cost {
  /** Of the inner session, besides the question for its id. */
  readonly calls: number;
  readonly itemsRead: number;
  readonly opened: number;
}

/** A history behind a recording session, a counting seal and a cache. */
function setup(options: CacheOptions = { maxItems: 10_000 }) {
  const inner = new MemorySession();
  const recording = recordingSession(inner);
  const seal = countingSeal();
  const layer = cache(options);
  const session = wrapSession(recording.session, [layer, seal]);
  return {
    inner,
    recording,
    seal,
    layer,
    session,
    /** What the work costs. */
    cost: async (work: () => Promise<unknown>): Promise<Cost> => {
      recording.reset();
      const before = seal.opened;
      await work();
      const calls = recording.calls.filter(({ member }) => member !== 'getSessionId').length;
      return { calls, itemsRead: recording.itemsRead, opened: seal.opened - before };
    },
    /** Another process: other layers over the same records. */
    otherWriter: () => wrapSession(inner, [seal]),
  };
}

/** Stops a session's member until it is released. */
function gated(inner: Session, member: 'getItems' | 'addItems') {
  let release: () => void = () => undefined;
  let reached: () => void = () => undefined;
  let gate: Promise<void> | undefined;
  const session: Session = {
    getSessionId: async () => inner.getSessionId(),
    getItems: async (limit) => {
      const items = await inner.getItems(limit);
      if (member === 'getItems') await pass();
      return items;
    },
    addItems: async (items) => {
      if (member === 'addItems') await pass();
      await inner.addItems(items);
    },
    popItem: async () => inner.popItem(),
    clearSession: async () => inner.clearSession(),
  };
  async function pass(): Promise<void> {
    const waiting = gate;
    gate = undefined;
    reached();
    await waiting;
  }
  return {
    session,
    /** The next call waits; resolves when it is there. */
    stopNext(): Promise<void> {
      gate = new Promise((resolve) => {
        release = resolve;
      });
      return new Promise((resolve) => {
        reached = resolve;
      });
    },
    release: () => release(),
  };
}

describe('cache', () => {
  test.each([10, 1_000])('a warm read of %i items costs one item, no opening and no more', async (count) => {
    const { session, cost } = setup();
    await session.addItems(messages(count));
    await session.getItems();
    expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 1, opened: 0 });
    expect(await cost(async () => session.getItems(3))).toEqual({ calls: 1, itemsRead: 1, opened: 0 });
    expect(textsOf(await session.getItems())).toEqual(textsOf(messages(count)));
  });

  test.each([10, 1_000])(
    'a read after an append to %i items reads what was appended and one more',
    async (count) => {
      const { session, cost } = setup();
      await session.addItems(messages(count));
      await session.getItems();
      expect(await cost(async () => session.addItems(messages(4, 'n')))).toMatchObject({
        calls: 1,
        itemsRead: 0,
      });
      await session.addItems(messages(2, 'o'));
      expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 7, opened: 0 });
      expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 1, opened: 0 });
      expect(textsOf(await session.getItems(7))).toEqual([
        `m${count - 1}`,
        'n0',
        'n1',
        'n2',
        'n3',
        'o0',
        'o1',
      ]);
    },
  );

  test('an empty history is kept too, and a history that began empty is checked from its start', async () => {
    const { session, cost, otherWriter } = setup();
    expect(await session.getItems()).toEqual([]);
    await session.addItems(messages(2));
    expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 2, opened: 0 });

    const again = setup();
    await again.session.getItems();
    await again.otherWriter().addItems(messages(1, 'foreign'));
    await again.session.addItems(messages(1));
    expect(textsOf(await again.session.getItems())).toEqual(['foreign0', 'm0']);
    expect(otherWriter).toBeDefined();
  });

  test('a read with a limit is answered from memory but never fills it', async () => {
    const { session, cost } = setup();
    await session.addItems(messages(20));
    expect(await cost(async () => session.getItems(3))).toEqual({ calls: 1, itemsRead: 3, opened: 3 });
    expect(await cost(async () => session.getItems(3))).toEqual({ calls: 1, itemsRead: 3, opened: 3 });
    expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 20, opened: 20 });
    expect(await cost(async () => session.getItems(3))).toEqual({ calls: 1, itemsRead: 1, opened: 0 });
    expect(textsOf(await session.getItems(2))).toEqual(['m18', 'm19']);
    expect(await session.getItems(50)).toHaveLength(20);
  });

  test('changes of a caller to its items do not affect the next read', async () => {
    const { session } = setup();
    const handedOver = messages(2);
    await session.addItems(handedOver);
    const spoil = (items: AgentInputItem[]): void => {
      for (const item of items)
        (item as unknown as { content: [{ text: string }] }).content[0].text = 'spoilt';
      items.length = 0;
    };
    for (let read = 0; read < 3; read++) {
      const items = await session.getItems();
      expect(textsOf(items)).toEqual(['m0', 'm1']);
      spoil(items);
    }
    spoil(handedOver);
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm1']);
  });

  test('items are copied once for each read, or never when they are frozen', async () => {
    const { session } = setup();
    await session.addItems(messages(2));
    const [first, second] = [await session.getItems(), await session.getItems()];
    expect(first[0]).not.toBe(second[0]);
    expect(Object.isFrozen(first[0])).toBe(false);

    const frozen = setup({ maxItems: 100, freeze: true });
    await frozen.session.addItems(messages(2));
    const [cold, warm] = [await frozen.session.getItems(), await frozen.session.getItems()];
    expect(warm[0]).toBe(cold[0]);
    await frozen.session.addItems(messages(1, 'n'));
    const [once, twice] = [await frozen.session.getItems(), await frozen.session.getItems(1)];
    expect(once[2]).toBe(twice[0]);
    expect(once[0]).toBe(cold[0]);
    expect(() => {
      (once[2] as unknown as { content: [{ text: string }] }).content[0].text = 'spoilt';
    }).toThrow(TypeError);
  });

  test('frozen items with bytes are copied, because bytes cannot be frozen', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [cache({ maxItems: 100, freeze: true })]);
    const screenshot = {
      type: 'unknown',
      providerData: { bytes: new Uint8Array([1, 2, 3]) },
    } as AgentInputItem;
    await session.addItems([screenshot, userMessage('m')]);
    const bytesOf = (items: AgentInputItem[]): Uint8Array =>
      (items[0] as unknown as { providerData: { bytes: Uint8Array } }).providerData.bytes;
    const first = await session.getItems();
    bytesOf(first)[0] = 9;
    const second = await session.getItems();
    expect([...bytesOf(second)]).toEqual([1, 2, 3]);
    expect(second[1]).toBe(first[1]);
  });

  test('another writer is seen: behind our records, between them, and when it removes or replaces', async () => {
    const { session, otherWriter, inner, cost } = setup();
    await session.addItems(messages(3));
    await session.getItems();

    await otherWriter().addItems(messages(1, 'behind'));
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm1', 'm2', 'behind0']);
    await otherWriter().addItems(messages(1, 'between'));
    await session.addItems(messages(1, 'ours'));
    expect(textsOf(await session.getItems(2))).toEqual(['between0', 'ours0']);
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm1', 'm2', 'behind0', 'between0', 'ours0']);
    await inner.popItem();
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm1', 'm2', 'behind0', 'between0']);
    await inner.popItem();
    await otherWriter().addItems(messages(1, 'replaced'));
    expect(await cost(async () => session.getItems())).toEqual({ calls: 2, itemsRead: 6, opened: 1 });
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm1', 'm2', 'behind0', 'replaced0']);
    await inner.clearSession();
    expect(await session.getItems()).toEqual([]);
  });

  test('verify sees an edit in the middle, which tail does not, and opens only what is new', async () => {
    for (const [mode, seen] of [
      ['verify', 'edited'],
      ['tail', 'm1'],
    ] as const) {
      const { session, otherWriter, inner, cost, recording } = setup({ maxItems: 100, mode });
      await session.addItems(messages(3));
      await session.getItems();
      const [first, , last] = await inner.getItems();
      await inner.clearSession();
      await inner.addItems([first as AgentInputItem]);
      await otherWriter().addItems([userMessage('edited')]);
      await inner.addItems([last as AgentInputItem]);
      recording.reset();
      const expected =
        mode === 'verify' ? { calls: 1, itemsRead: 3, opened: 1 } : { calls: 1, itemsRead: 1, opened: 0 };
      expect(await cost(async () => session.getItems())).toEqual(expected);
      expect(textsOf(await session.getItems())).toEqual(['m0', seen, 'm2']);
    }
  });

  test('verify opens nothing when nothing changed, also with a limit', async () => {
    const { session, cost } = setup({ maxItems: 100, mode: 'verify' });
    await session.addItems(messages(5));
    await session.getItems();
    expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 5, opened: 0 });
    expect(await cost(async () => session.getItems(2))).toEqual({ calls: 1, itemsRead: 2, opened: 0 });
    await session.addItems(messages(1, 'n'));
    expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 6, opened: 0 });
  });

  test('owner asks the inner session for nothing, and sees no other writer', async () => {
    const { session, cost, otherWriter } = setup({ maxItems: 100, mode: 'owner' });
    await session.addItems(messages(2));
    await session.getItems();
    await session.addItems(messages(1, 'n'));
    await otherWriter().addItems(messages(1, 'foreign'));
    expect(await cost(async () => session.getItems())).toEqual({ calls: 0, itemsRead: 0, opened: 0 });
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm1', 'n0']);
  });

  test.each(['popItem', 'clearSession', 'replace_suffix', 'append_items'] as const)(
    'after %s the history is read again, even in owner mode',
    async (change) => {
      const { session, cost } = setup({ maxItems: 100, mode: 'owner' });
      await session.addItems(messages(3));
      await session.getItems();
      const transaction =
        change === 'append_items'
          ? { type: change, items: messages(1, 'n') }
          : {
              type: 'replace_suffix' as const,
              expectedSuffix: messages(3).slice(2),
              replacement: messages(1, 'r'),
            };
      const work = async (): Promise<unknown> =>
        change === 'popItem' || change === 'clearSession'
          ? session[change]()
          : session.applyHistoryTransaction({ operationId: 'operation-1', transaction });
      await work();
      const expected = {
        popItem: ['m0', 'm1'],
        clearSession: [],
        replace_suffix: ['m0', 'm1', 'r0'],
        append_items: ['m0', 'm1', 'm2', 'n0'],
      }[change];
      const cold = await cost(async () => expect(textsOf(await session.getItems())).toEqual(expected));
      expect(cold).toMatchObject({ calls: 1, itemsRead: expected.length });
    },
  );

  test('the repeat of an appending transaction, acknowledged like the first, appends nothing', async () => {
    const { session } = setup({ maxItems: 100, mode: 'owner' });
    await session.addItems(messages(1));
    const args = {
      operationId: 'operation-1',
      transaction: { type: 'append_items' as const, items: messages(1, 'n') },
    };
    for (let time = 0; time < 3; time++) {
      await session.applyHistoryTransaction(args);
      expect(textsOf(await session.getItems())).toEqual(['m0', 'n0']);
    }
  });

  test.each(['before', 'after'] as const)(
    'an append that fails %s it is committed leaves no list behind, even in owner mode',
    async (when) => {
      const seal = countingSeal();
      const faulty = faultySession(new MemorySession());
      const session = wrapSession(faulty.session, [cache({ maxItems: 100, mode: 'owner' }), seal]);
      await session.addItems(messages(2));
      await session.getItems();
      faulty.arm({ member: 'addItems', when });
      await expect(session.addItems(messages(1, 'n'))).rejects.toThrow('injected fault');
      expect(textsOf(await session.getItems())).toEqual(when === 'after' ? ['m0', 'm1', 'n0'] : ['m0', 'm1']);
    },
  );

  test('a read that overlaps a change does not fill the cache', async () => {
    const inner = new MemorySession();
    const gate = gated(inner, 'getItems');
    const [seal, layer] = [countingSeal(), cache({ maxItems: 100, mode: 'owner' })];
    // Two stacks over one session share the cache and have an order of calls each.
    const reader = wrapSession(gate.session, [layer, seal]);
    const writer = wrapSession(gate.session, [{ name: 'other' }, layer, seal]);
    await writer.addItems(messages(1));

    const stopped = gate.stopNext();
    const reading = reader.getItems();
    await stopped;
    await writer.addItems(messages(1, 'n'));
    gate.release();
    expect(textsOf(await reading)).toEqual(['m0']);
    expect(textsOf(await reader.getItems())).toEqual(['m0', 'n0']);
  });

  test('a read during a change does not fill the cache', async () => {
    const inner = new MemorySession();
    const gate = gated(inner, 'addItems');
    const [seal, layer] = [countingSeal(), cache({ maxItems: 100, mode: 'owner' })];
    const reader = wrapSession(gate.session, [layer, seal]);
    const writer = wrapSession(gate.session, [{ name: 'other' }, layer, seal]);

    const stopped = gate.stopNext();
    const writing = writer.addItems(messages(1));
    await stopped;
    expect(await reader.getItems()).toEqual([]);
    gate.release();
    await writing;
    expect(textsOf(await reader.getItems())).toEqual(['m0']);
  });

  test('an append asks for the name of a list only where one was kept', async () => {
    let asked = 0;
    const seal: SessionLayer = {
      ...countingSeal(),
      opensAs: async () => {
        asked++;
        return [];
      },
    };
    const session = wrapSession(new MemorySession(), [cache({ maxItems: 100, mode: 'owner' }), seal]);
    await session.addItems(messages(1));
    expect(asked).toBe(0);
    expect(textsOf(await session.getItems())).toEqual(['m0']);
    expect(asked).toBe(1);
    await session.addItems(messages(1, 'n'));
    expect(asked).toBe(2);
    expect(textsOf(await session.getItems())).toEqual(['m0', 'n0']);
  });

  test('of two overlapping appends, neither restores the old list', async () => {
    const inner = new MemorySession();
    const gate = gated(inner, 'addItems');
    const [seal, layer] = [countingSeal(), cache({ maxItems: 100, mode: 'owner' })];
    const one = wrapSession(gate.session, [layer, seal]);
    const two = wrapSession(gate.session, [{ name: 'other' }, layer, seal]);
    await one.addItems(messages(1));
    await one.getItems();

    const stopped = gate.stopNext();
    const first = one.addItems(messages(1, 'slow'));
    await stopped;
    await two.addItems(messages(1, 'fast'));
    expect(textsOf(await two.getItems())).toEqual(['m0', 'fast0']);
    gate.release();
    await first;
    expect(textsOf(await one.getItems())).toEqual(['m0', 'fast0', 'slow0']);
  });

  test('a change through another stack over the same session invalidates the cache', async () => {
    const inner = new MemorySession();
    const layer = cache({ maxItems: 100, mode: 'owner' });
    const [one, two] = [
      wrapSession(inner, [layer]),
      wrapSession(inner, [{ name: 'other' }, layer, { name: 'inside' }]),
    ];
    await one.addItems(messages(1));
    await one.getItems();
    await two.addItems(messages(1, 'n'));
    expect(textsOf(await one.getItems())).toEqual(['m0', 'n0']);
    await two.addItems(messages(1, 'o'));
    await one.addItems(messages(1, 'p'));
    expect(textsOf(await one.getItems())).toEqual(['m0', 'n0', 'o0', 'p0']);
  });

  test('sessions of one id in two places are two sessions', async () => {
    const layer = cache({ maxItems: 100, mode: 'owner' });
    const [one, two] = [new MemorySession({ sessionId: 'a' }), new MemorySession({ sessionId: 'a' })].map(
      (inner): Session => wrapSession(inner, [layer]),
    ) as [Session, Session];
    await one.addItems(messages(1));
    await two.addItems(messages(1, 'n'));
    expect(textsOf(await one.getItems())).toEqual(['m0']);
    expect(textsOf(await two.getItems())).toEqual(['n0']);
  });

  test('entries that one seal opened are not given to a stack with another', async () => {
    const inner = new MemorySession();
    const layer = cache({ maxItems: 100, mode: 'owner' });
    const [seal, otherSeal] = [countingSeal(), countingSeal()];
    otherSeal.unreadable = 'm0';
    const session = wrapSession(inner, [layer, seal]);
    const other = wrapSession(inner, [layer, otherSeal]);
    await session.addItems(messages(1));
    expect(await session.getItems()).toHaveLength(1);
    expect(await other.getItems()).toHaveLength(0);
    expect(otherSeal.opened).toBe(1);
  });

  test.each(['tail', 'verify', 'owner'] as const)(
    'mode %s: what was opened for one tenant is not handed to another',
    async (mode) => {
      const inner = new MemorySession();
      const keys = keyring({ current: await generateKey() });
      const session = wrapSession(inner, [
        cache({ maxItems: 100, mode }),
        encrypt({
          keys,
          context: ({ runContext }) => ({
            tenant: (runContext?.context as { tenant: string } | undefined)?.tenant ?? 'nobody',
          }),
        }),
      ]) as unknown as TenantSession;
      expect(session.acceptsRunContext).toBe(true);
      const [a, b] = [new RunContext({ tenant: 'a' }), new RunContext({ tenant: 'b' })];
      await session.addItems(messages(2), a);
      for (let read = 0; read < 2; read++) {
        expect(textsOf(await session.getItems(undefined, a))).toEqual(['m0', 'm1']);
        await expect(session.getItems(undefined, b)).rejects.toMatchObject({ code: 'ERR_COMMITMENT' });
        await expect(session.getItems()).rejects.toMatchObject({ code: 'ERR_COMMITMENT' });
      }
      const before = counters.opens;
      await session.addItems(messages(1, 'n'), new RunContext({ tenant: 'a' }));
      expect(textsOf(await session.getItems(undefined, new RunContext({ tenant: 'a' })))).toEqual([
        'm0',
        'm1',
        'n0',
      ]);
      expect(counters.opens).toBe(before);
    },
  );

  test.each([20, 400])(
    'the whole stack over SQLite: a warm read of %i items and a turn cost the same work',
    async (count) => {
      await using store = openSqlite(':memory:');
      const recording = recordingSession(store.session('user-1'));
      const layers = [
        redact({ entities: ['EMAIL_ADDRESS'] }),
        expire({ after: '30d' }),
        cache({ maxItems: 1_000, freeze: true }),
        encrypt({ keys: keyring({ current: await generateKey() }) }),
      ];
      const session = wrapSession(recording.session, layers);
      await session.addItems(messages(count));
      await session.getItems();

      const work = async (): Promise<Record<string, number>> => {
        const before = { ...counters };
        recording.reset();
        const items = await session.getItems();
        await session.addItems(messages(2, 'n'));
        const again = await session.getItems();
        return {
          calls: recording.calls.filter(({ member }) => member !== 'getSessionId').length,
          itemsRead: recording.itemsRead,
          itemsWritten: recording.itemsWritten,
          opens: counters.opens - before.opens,
          seals: counters.seals - before.seals,
          wraps: counters.wraps - before.wraps,
          unwraps: counters.unwraps - before.unwraps,
          copies: items.filter((item, index) => item !== again[index]).length,
          gained: again.length - items.length,
        };
      };
      const expected = {
        calls: 3,
        itemsRead: 4,
        itemsWritten: 2,
        opens: 0,
        seals: 2,
        wraps: 0,
        unwraps: 0,
        copies: 0,
        gained: 2,
      };
      expect(await work()).toEqual(expected);
      expect(await work()).toEqual(expected);
    },
  );

  test('a session that chooses its history by the run context is kept for each context apart', async () => {
    const inner = new TenantSession();
    const session = wrapSession(inner, [
      cache({ maxItems: 100, mode: 'owner' }),
      countingSeal(),
    ]) as unknown as TenantSession;
    const [a, b] = [new RunContext({ tenant: 'a' }), new RunContext({ tenant: 'b' })];
    await session.addItems(messages(1, 'a'), a);
    await session.addItems(messages(1, 'b'), b);
    for (let read = 0; read < 2; read++) {
      expect(textsOf(await session.getItems(undefined, a))).toEqual(['a0']);
      expect(textsOf(await session.getItems(undefined, b))).toEqual(['b0']);
    }
    // Two contexts can lead to one history.
    const again = new RunContext({ tenant: 'a' });
    await session.getItems(undefined, again);
    await session.addItems(messages(1, 'n'), a);
    expect(textsOf(await session.getItems(undefined, again))).toEqual(['a0', 'n0']);
  });

  test('after ttl, or when the clock is set back, a history is opened again', async () => {
    const clock = fakeClock();
    const inner = new MemorySession();
    const seal = countingSeal();
    const session = wrapSession(inner, [
      { name: 'clock', clock },
      cache({ maxItems: 100, ttl: '10m', mode: 'verify' }),
      seal,
    ]);
    const openedBy = async (): Promise<number> => {
      const before = seal.opened;
      await session.getItems();
      return seal.opened - before;
    };
    await session.addItems(messages(2));
    expect(await openedBy()).toBe(2);
    clock.advance('9m');
    await session.addItems(messages(1, 'n'));
    expect(await openedBy()).toBe(0);
    clock.advance('1m');
    expect(await openedBy()).toBe(3);
    clock.set(clock() - 1);
    expect(await openedBy()).toBe(3);
  });

  test('the least recently used history is evicted when there are too many items', async () => {
    const [seal, layer] = [countingSeal(), cache({ maxItems: 10, mode: 'owner' })];
    const recordings = ['a', 'b', 'c'].map((sessionId) => recordingSession(new MemorySession({ sessionId })));
    const sessions: Session[] = recordings.map(({ session }) => wrapSession(session, [layer, seal]));
    const [a, b, c] = sessions as [Session, Session, Session];
    const readsOf = async (session: Session, index: number): Promise<number> => {
      recordings[index]?.reset();
      await session.getItems();
      return recordings[index]?.itemsRead ?? -1;
    };
    await a.addItems(messages(4));
    await b.addItems(messages(4));
    await c.addItems(messages(4));
    expect(await readsOf(a, 0)).toBe(4);
    expect(await readsOf(b, 1)).toBe(4);
    expect(await readsOf(a, 0)).toBe(0);
    expect(await readsOf(c, 2)).toBe(4);
    expect(await readsOf(a, 0)).toBe(0);
    expect(await readsOf(b, 1)).toBe(4);
    // An append makes a history larger, and it counts with its new size.
    await b.addItems(messages(6));
    expect(await readsOf(b, 1)).toBe(0);
    expect(await readsOf(a, 0)).toBe(4);
    expect(await readsOf(b, 1)).toBe(10);
  });

  test('bytes are bounded too, exactly, alone or beside items', async () => {
    for (const bounds of [{ maxBytes: 5_000 }, { maxBytes: 5_000, maxItems: 100 }]) {
      const [seal, layer] = [countingSeal(), cache({ ...bounds, mode: 'owner' })];
      const recordings = ['a', 'b'].map((sessionId) => recordingSession(new MemorySession({ sessionId })));
      const sessions: Session[] = recordings.map(({ session }) => wrapSession(session, [layer, seal]));
      const [a, b] = sessions as [Session, Session];
      const text = 'x'.repeat(700);
      await a.addItems([userMessage(text)]);
      await b.addItems([userMessage(text)]);
      await a.getItems();
      await b.getItems();
      for (const recording of recordings) recording.reset();
      await a.getItems();
      await b.getItems();
      expect(recordings.map(({ itemsRead }) => itemsRead)).toEqual([0, 0]);
      await b.addItems([userMessage('y'.repeat(300))]);
      await b.getItems();
      expect(recordings.map(({ itemsRead }) => itemsRead)).toEqual([0, 0]);
      await a.getItems();
      expect(recordings.map(({ itemsRead }) => itemsRead)).toEqual([1, 0]);
    }
  });

  test('a history that alone exceeds a bound is never kept, and does not evict others', async () => {
    for (const bounds of [{ maxItems: 3 }, { maxBytes: 1_500 }]) {
      const { session, cost, layer, seal } = setup({ ...bounds, mode: 'owner' });
      const small = wrapSession(new MemorySession(), [layer, seal]);
      await small.addItems(messages(1));
      await small.getItems();
      await session.addItems(messages(4));
      for (let read = 0; read < 2; read++) {
        expect(await cost(async () => session.getItems())).toMatchObject({ itemsRead: 4, opened: 4 });
      }
      expect(await cost(async () => small.getItems())).toMatchObject({ opened: 0 });
    }
  });

  test('a record that could not be read is tried again, and the session stays read-only until it can', async () => {
    const { session, seal } = setup({ maxItems: 100, mode: 'owner' });
    await session.addItems(messages(3));
    seal.unreadable = 'm1';
    for (let read = 0; read < 2; read++) {
      expect(textsOf(await session.getItems())).toEqual(['m0', 'm2']);
      await expect(session.clearSession()).rejects.toMatchObject({ code: 'ERR_READ_ONLY' });
    }
    await session.getItems();
    seal.unreadable = undefined;
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm1', 'm2']);
    await session.clearSession();
    expect(await session.getItems()).toEqual([]);
  });

  test('a shredded record is hidden without being opened at each read', async () => {
    const { session, seal, cost } = setup();
    await session.addItems(messages(3));
    seal.unreadable = 'm1';
    seal.skips = false;
    expect(textsOf(await session.getItems())).toEqual(['m0', 'm2']);
    expect(await cost(async () => session.getItems())).toEqual({ calls: 1, itemsRead: 1, opened: 0 });
    expect(textsOf(await session.getItems(2))).toEqual(['m0', 'm2']);
  });

  test('returned entries carry the record as the inner session has it now', async () => {
    const layer = cache({ maxItems: 100, mode: 'verify' });
    const call = handMadeCall({ layers: [layer] });
    const written = userMessage('sr1.text-of-an-envelope');
    const withId = { ...written, id: 'added by the backend' } as AgentInputItem;
    let record = written;
    const io = {
      raw: async () => [record],
      open: async (records: readonly AgentInputItem[]) =>
        records.map((stored) => ({ item: userMessage('one'), header: {}, stored })),
    };
    expect((await layer.load?.(call, io))?.[0]?.stored).toBe(written);
    record = withId;
    expect((await layer.load?.(call, io))?.[0]?.stored).toBe(withId);
  });

  test('expiry is judged at each read, and a limit counts visible items', async () => {
    const clock = fakeClock();
    const recording = recordingSession(new MemorySession());
    const session = wrapSession(recording.session, [
      expire({ after: '1h', clock }),
      cache({ maxItems: 100, ttl: '1d' }),
      countingSeal(),
    ]);
    await session.addItems(messages(2));
    clock.advance('30m');
    await session.addItems(messages(2, 'n'));
    expect(await session.getItems()).toHaveLength(4);
    clock.advance('30m');
    recording.reset();
    expect(textsOf(await session.getItems(3))).toEqual(['n0', 'n1']);
    expect(textsOf(await session.getItems())).toEqual(['n0', 'n1']);
    expect(recording.itemsRead).toBeLessThanOrEqual(3);
  });

  test('equal items stay separate objects', async () => {
    for (const freeze of [false, true]) {
      const session = wrapSession(new MemorySession(), [cache({ maxItems: 100, mode: 'verify', freeze })]);
      await session.addItems([userMessage('same'), userMessage('same')]);
      for (let read = 0; read < 2; read++) {
        const [one, two] = await session.getItems();
        expect(one).toEqual(two);
        expect(one).not.toBe(two);
      }
    }
  });

  type Step = { who: number } & (
    { kind: 'add' | 'limit'; count: number } | { kind: 'pop' | 'clear' | 'read' }
  );
  const who = fc.nat(2);
  const operation: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ who, kind: fc.constant('add' as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ who, kind: fc.constantFrom('pop' as const, 'clear' as const, 'read' as const) }),
    fc.record({ who, kind: fc.constant('limit' as const), count: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ who, kind: fc.constant('read' as const) }),
  );

  test.each(['tail', 'verify'] as const)(
    'mode %s: three writers over one history, any order of calls, always agree with a plain list',
    async (mode) => {
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 40 }), fc.boolean(), async (operations, sealed) => {
          const inner = new MemorySession();
          const seal = sealed ? [countingSeal()] : [];
          const writers = [
            wrapSession(inner, [cache({ maxItems: 100, mode }), ...seal]),
            wrapSession(inner, [cache({ maxItems: 6, mode, freeze: true }), ...seal]),
            wrapSession(inner, seal),
          ];
          const model: string[] = [];
          let next = 0;
          const run = async (step: Step, writer: Session): Promise<readonly [string[], string[]]> => {
            switch (step.kind) {
              case 'add': {
                const texts = Array.from({ length: step.count }, () => `t${next++}`);
                model.push(...texts);
                await writer.addItems(texts.map(userMessage));
                return [[], []];
              }
              case 'pop': {
                const last = model.splice(-1);
                const popped = await writer.popItem();
                return [popped === undefined ? [] : textsOf([popped]), last];
              }
              case 'clear':
                model.length = 0;
                await writer.clearSession();
                return [[], []];
              case 'limit':
                return [textsOf(await writer.getItems(step.count)), model.slice(-step.count)];
              default:
                return [textsOf(await writer.getItems()), [...model]];
            }
          };
          for (const step of operations) {
            const [seen, expected] = await run(step, writers[step.who] as Session);
            expect(seen).toEqual(expected);
          }
          for (const writer of writers) expect(textsOf(await writer.getItems())).toEqual(model);
        }),
        { numRuns: 150 },
      );
    },
  );

  test.each([
    ['tail', false],
    ['verify', false],
    ['owner', false],
    ['tail', true],
  ] as const)(
    'mode %s, freeze %s: a run resumed after a lost acknowledgement stores nothing twice',
    async (mode, freeze) => {
      const faulty = faultySession(new MemorySession());
      const session = wrapSession(faulty.session, [cache({ maxItems: 100, mode, freeze }), countingSeal()]);
      const model = new ScriptedModel([
        [modelCall('refund', { id: 7 }, { callId: 'call_1' })],
        [assistantMessage('refunded')],
        [assistantMessage('bye')],
      ]);
      const refund = tool({
        name: 'refund',
        description: 'r',
        parameters: z.object({ id: z.number() }),
        needsApproval: true,
        execute: async ({ id }) => `refunded ${id}`,
      });
      const agent = new Agent({ name: 'Support', model, tools: [refund] });
      const runner = new Runner({ tracingDisabled: true });
      const first = await runner.run(agent, 'refund 7', { session });
      const state = await RunState.fromString(agent, first.state.toString());
      for (const interruption of state.getInterruptions()) state.approve(interruption);
      faulty.arm({ member: 'addItems', when: 'after' });
      await expect(runner.run(agent, state, { session })).rejects.toThrow(/injected fault|Session/);
      expect((await runner.run(agent, state, { session })).finalOutput).toBe('refunded');
      await runner.run(agent, 'bye', { session });
      expect((await session.getItems()).map((item) => item.type)).toEqual([
        'message',
        'function_call',
        'function_call_result',
        'message',
        'message',
        'message',
      ]);
    },
  );

  test.each<[unknown, RegExp]>([
    [undefined, /cache: options must be an object/],
    [{}, /cache: set maxItems or maxBytes/],
    [{ ttl: '1h' }, /cache: set maxItems or maxBytes/],
    [{ maxItems: 0 }, /cache: maxItems must be a positive whole number, got zero/],
    [{ maxBytes: 1.5 }, /cache: maxBytes must be a positive whole number/],
    [{ maxItems: 1, ttl: 'soon' }, /cache: ttl must be/],
    [{ maxItems: 1, mode: 'fast' }, /cache: mode must be 'tail', 'verify' or 'owner', got a string/],
    [{ maxItems: 1, freeze: 1 }, /cache: freeze must be true or false/],
    [{ max: 5 }, /cache: unknown option "max"/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => cache(options as CacheOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });

  test('a cache outside expire(), or a second one, is refused', () => {
    const inner = new MemorySession();
    for (const layers of [
      [cache({ maxItems: 1 }), expire({ after: '1d' })],
      [cache({ maxItems: 1 }), cache({ maxItems: 1 })],
    ]) {
      expect(() => wrapSession(inner, layers)).toThrow(expect.objectContaining({ code: 'ERR_LAYER_ORDER' }));
    }
  });
});
