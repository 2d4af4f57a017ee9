import {
  Agent,
  MemorySession,
  RunContext,
  Runner,
  RunState,
  tool,
  type AgentInputItem,
} from '@openai/agents';
import { assistantMessage, functionCall as modelCall, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { envelopeText, parseEnvelope } from '../../src/protocol/envelope.ts';
import type { Header, SessionCall } from '../../src/layer.ts';
import { expire, type ExpireOptions } from '../../src/layers/expire.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { plainSession } from '../support/plain-session.ts';
import { entryOf, functionCall, functionResult, handMadeCall, userMessage } from './hand-made-call.ts';

const DAY = 86_400_000;

const contextual = { ...handMadeCall() };

function textsOf(items: readonly AgentInputItem[]): unknown[] {
  return items.map((item) => {
    if (item.type === 'message') return (item.content as { text: string }[])[0]?.text;
    return 'callId' in item ? `${item.type}:${item.callId as string}` : item.type;
  });
}

async function headersOf(inner: MemorySession): Promise<Header[]> {
  return (await inner.getItems()).map((record) => parseEnvelope(envelopeText(record) ?? '').header);
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** A session with a replacement of its own, which the SDK's MemorySession leaves to the runner. */
class CompactingSession extends MemorySession {
  async replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> {
    await this.clearSession();
    await this.addItems(items);
  }
}

/** One history, wrapped anew by every call of `open`: what another process would see. */
function history(clock: () => number): {
  readonly inner: CompactingSession;
  readonly open: (options?: Partial<ExpireOptions>) => CompactingSession;
} {
  const inner = new CompactingSession();
  return {
    inner,
    open: (options) =>
      wrapSession(inner, [expire({ after: '30d', clock, ...options })]) as unknown as CompactingSession,
  };
}

describe('expire', () => {
  test('an item is visible until its age is reached, and hidden from then on', async () => {
    const clock = fakeClock();
    const { inner, open } = history(clock);
    const session = open();
    await session.addItems([userMessage('one')]);
    clock.advance(30 * DAY - 1);
    expect(textsOf(await session.getItems())).toEqual(['one']);
    clock.advance(1);
    expect(await session.getItems()).toEqual([]);
    expect(await inner.getItems()).toHaveLength(1);
  });

  test('every item is stamped with its time of writing and its expiry, in clear', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    await open().addItems([userMessage('one')]);
    expect(await headersOf(inner)).toMatchObject([{ t: 1_000, e: 1_000 + 30 * DAY }]);
    expect((await headersOf(inner))[0]).not.toHaveProperty('g');
  });

  test('a limit counts visible items only', async () => {
    const clock = fakeClock();
    const { open } = history(clock);
    const session = open();
    await session.addItems([functionCall('c1')]);
    clock.advance('20d');
    await session.addItems([
      userMessage('two'),
      functionResult('c1'),
      functionResult('c1'),
      userMessage('three'),
    ]);
    clock.advance('10d');
    expect(textsOf(await session.getItems())).toEqual(['two', 'three']);
    expect(textsOf(await session.getItems(2))).toEqual(['two', 'three']);
    expect(textsOf(await session.getItems(1))).toEqual(['three']);
  });

  test('a shorter policy applies to stored items, a longer one revives nothing', async () => {
    const clock = fakeClock();
    const { open } = history(clock);
    await open().addItems([userMessage('one')]);
    clock.advance('8d');
    expect(await open({ after: '7d' }).getItems()).toEqual([]);
    expect(await open().getItems()).toHaveLength(1);
    clock.advance('22d');
    expect(await open({ after: '365d' }).getItems()).toEqual([]);
  });

  test('a result that is written later expires with its call', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    const session = open();
    await session.addItems([userMessage('one'), functionCall('c1')]);
    clock.advance('20d');
    await session.addItems([functionResult('c1'), userMessage('two')]);
    expect((await headersOf(inner)).slice(2)).toMatchObject([
      { t: 1_000 + 20 * DAY, g: 1_000, e: 1_000 + 30 * DAY },
      { t: 1_000 + 20 * DAY, e: 1_000 + 50 * DAY },
    ]);
    clock.advance('10d');
    expect(textsOf(await session.getItems())).toEqual(['two']);
    expect(await open({ after: '9d' }).getItems()).toEqual([]);
  });

  test('a result expires with its call also when another process wrote the call', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    await open().addItems([functionCall('c1'), ...Array.from({ length: 63 }, (_, i) => userMessage(`${i}`))]);
    clock.advance('1d');
    await open().addItems([functionResult('c1')]);
    expect((await headersOf(inner)).at(-1)).toMatchObject({ g: 1_000, e: 1_000 + 30 * DAY });
  });

  test('a result whose call is more than 64 records back has stamps of its own', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    await open().addItems([functionCall('c1'), ...Array.from({ length: 64 }, (_, i) => userMessage(`${i}`))]);
    clock.advance('1d');
    await open().addItems([functionResult('c1')]);
    const last = (await headersOf(inner)).at(-1);
    expect(last).toMatchObject({ t: 1_000 + DAY, e: 1_000 + 31 * DAY });
    expect(last).not.toHaveProperty('g');
  });

  test('results of one batch are looked up with one look back, and the newest call of an id counts', async () => {
    const looks: (string | undefined)[][] = [];
    const stored = [
      entryOf(functionCall('a'), { t: 1, e: 1 + 30 * DAY }),
      entryOf(functionCall('b'), { t: 2, e: 2 + 30 * DAY }),
      entryOf(functionCall('a'), { t: 3, e: 3 + 30 * DAY }),
    ];
    const call = handMadeCall({
      kind: 'addItems',
      lookBack: async (match) => {
        looks.push([]);
        return stored.findLast((entry) => {
          looks.at(-1)?.push((entry.item as { callId?: string }).callId);
          return match(entry);
        });
      },
    });
    const written = await expire({ after: '30d' }).write?.(
      [functionResult('a'), functionResult('b'), functionCall('c'), functionResult('c')].map((item) =>
        entryOf(item),
      ),
      call,
    );
    expect(looks).toEqual([['a', 'b']]);
    expect(written?.map(({ header }) => [header.g, header.e])).toEqual([
      [3, 3 + 30 * DAY],
      [2, 2 + 30 * DAY],
      [undefined, 1_000_000 + 30 * DAY],
      [undefined, 1_000_000 + 30 * DAY],
    ]);
  });

  test('a batch without open results is not looked back for', async () => {
    const call = handMadeCall({
      kind: 'addItems',
      lookBack: () => {
        throw new Error('not wanted');
      },
    });
    const items = [userMessage('one'), functionCall('c'), functionResult('c')];
    const written = await expire({ after: 10 }).write?.(
      items.map((item) => entryOf(item)),
      call,
    );
    expect(written).toHaveLength(3);
  });

  test('an item that a program issued expires with the program', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    const session = open();
    await session.addItems([{ type: 'program', id: 'p', callId: 'program-1', code: 'x', fingerprint: 'f' }]);
    clock.advance('1d');
    const owned = {
      ...functionCall('c1'),
      caller: { type: 'program', callerId: 'program-1' },
    } as AgentInputItem;
    await session.addItems([owned]);
    clock.advance('1d');
    await session.addItems([functionResult('c1')]);
    expect((await headersOf(inner)).slice(1)).toMatchObject([
      { g: 1_000, e: 1_000 + 30 * DAY },
      { t: 1_000 + 2 * DAY, g: 1_000, e: 1_000 + 30 * DAY },
    ]);
  });

  test('a run resumed after an approval weeks later leaves no half of a call behind', async () => {
    const clock = fakeClock();
    const { open } = history(clock);
    const model = new ScriptedModel([
      [modelCall('refund', { id: 7 }, { callId: 'call_1' })],
      [assistantMessage('refunded')],
      [assistantMessage('hello again')],
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

    const first = await runner.run(agent, 'refund 7', { session: open() });
    clock.advance('20d');
    const state = await RunState.fromString(agent, first.state.toString());
    state.approve(state.getInterruptions()[0] as NonNullable<ReturnType<typeof state.getInterruptions>[0]>);
    expect((await runner.run(agent, state, { session: open() })).finalOutput).toBe('refunded');
    expect((await open().getItems()).map((item) => item.type)).toEqual([
      'message',
      'function_call',
      'function_call_result',
      'message',
    ]);

    clock.advance('10d');
    expect(textsOf(await open().getItems())).toEqual(['refunded']);
    await runner.run(agent, 'hello', { session: open() });
    expect(model.lastCall?.request.input).toHaveLength(2);
  });

  test('items that a run saw at its start stay visible until its end, for at most pinFor', async () => {
    const clock = fakeClock();
    const { inner, open } = history(clock);
    const session = wrapSession(inner, [expire({ after: '30d', clock, pinFor: '10m' })]) as unknown as {
      getItems(limit?: number, runContext?: RunContext): Promise<AgentInputItem[]>;
      acceptsRunContext?: true;
    };
    expect(session.acceptsRunContext).toBe(true);
    await open().addItems([userMessage('one')]);
    const run = new RunContext();
    clock.advance(30 * DAY - 1);
    expect(await session.getItems(undefined, run)).toHaveLength(1);
    clock.advance('9m');
    expect(await session.getItems(undefined, run)).toHaveLength(1);
    expect(await session.getItems(undefined, new RunContext())).toHaveLength(0);
    expect(await session.getItems()).toHaveLength(0);
    clock.advance('1m');
    expect(await session.getItems(undefined, run)).toHaveLength(0);
  });

  test('a pin of 15 minutes is the default, and a clock set back ends it', async () => {
    const layer = expire({ after: 1_000 });
    const runContext = new RunContext();
    const seen = async (now: number): Promise<boolean> => {
      const read = await layer.read?.([entryOf(userMessage('one'), { t: 0, e: 1_000 })], {
        ...contextual,
        runContext,
        now: () => now,
      });
      return read?.[0] !== undefined;
    };
    expect(await seen(999)).toBe(true);
    expect(await seen(999 + 15 * 60_000 - 1)).toBe(true);
    expect(await seen(999 + 15 * 60_000)).toBe(false);
    expect(await seen(500)).toBe(true);
  });

  test('items written back after a rollback keep their stamps', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    const session = open();
    await session.addItems([userMessage('one'), functionCall('c1')]);
    clock.advance('1d');
    await session.addItems([functionResult('c1')]);
    const before = await headersOf(inner);
    const items = await session.getItems();
    clock.advance('5d');
    await session.clearSession();
    await session.addItems(items);
    expect(await headersOf(inner)).toEqual(before);
  });

  test('a compaction expires with the first item that it replaces, under any policy', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    const session = open();
    await session.addItems([userMessage('old')]);
    clock.advance('20d');
    await session.addItems([userMessage('one')]);
    clock.advance('5d');
    await session.addItems([userMessage('two')]);
    const compaction = { type: 'compaction', encrypted_content: 'opaque' } as AgentInputItem;

    clock.advance('6d');
    await session.replaceHistoryWithCompaction([compaction, userMessage('two'), userMessage('new')]);
    const now = 1_000 + 31 * DAY;
    expect(await headersOf(inner)).toMatchObject([
      // What had expired at day 30 is no part of it.
      { t: now, g: 1_000 + 20 * DAY, e: 1_000 + 50 * DAY },
      { t: 1_000 + 25 * DAY, e: 1_000 + 55 * DAY },
      { t: now, g: 1_000 + 20 * DAY, e: 1_000 + 50 * DAY },
    ]);
    clock.advance(19 * DAY);
    expect(textsOf(await session.getItems())).toEqual(['two']);
  });

  test('the replacement of a suffix expires with the first item of that suffix', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    const session = open();
    await session.addItems([userMessage('one')]);
    clock.advance('1d');
    await session.addItems([userMessage('two')]);
    clock.advance('1d');
    await session.applyHistoryTransaction({
      operationId: 'operation-1',
      transaction: {
        type: 'replace_suffix',
        expectedSuffix: [userMessage('two')],
        replacement: [userMessage('two'), userMessage('three')],
      },
    });
    expect(await headersOf(inner)).toMatchObject([
      { t: 1_000 },
      { t: 1_000 + DAY, e: 1_000 + 31 * DAY },
      { t: 1_000 + 2 * DAY, g: 1_000 + DAY, e: 1_000 + 31 * DAY },
    ]);
  });

  test('over a session that only clears and adds, a compaction expires with the items that were read before', async () => {
    const clock = fakeClock();
    const inner = plainSession();
    const session = wrapSession(inner, [expire({ after: '30d', clock })]);
    await session.addItems([userMessage('one')]);
    clock.advance('20d');
    await session.getItems();
    await session.clearSession();
    await session.addItems([{ type: 'compaction', encrypted_content: 'opaque' }]);
    clock.advance('9d');
    expect(await session.getItems()).toHaveLength(1);
    clock.advance('1d');
    expect(await session.getItems()).toHaveLength(0);
  });

  test('popItem removes the last visible item, and the hidden ones above it', async () => {
    const clock = fakeClock();
    const { inner, open } = history(clock);
    const session = open();
    await session.addItems([functionCall('c1')]);
    clock.advance('20d');
    await session.addItems([userMessage('two'), functionResult('c1')]);
    clock.advance('10d');
    expect(textsOf([(await session.popItem()) as AgentInputItem])).toEqual(['two']);
    expect(await session.popItem()).toBeUndefined();
    expect(await inner.getItems()).toHaveLength(1);
  });

  test('a record from more than 60 seconds ahead of the clock is an error, and nothing is removed', async () => {
    const clock = fakeClock();
    const { inner, open } = history(clock);
    const session = open();
    clock.advance(60_000);
    await session.addItems([userMessage('one')]);
    clock.set(clock() - 60_000);
    expect(await session.getItems()).toHaveLength(1);
    clock.set(clock() - 1);
    for (const attempt of [session.getItems(), session.popItem(), open().getItems(1)]) {
      expect(await failureOf(attempt)).toMatchObject({
        code: 'ERR_CLOCK',
        message: expect.stringMatching(
          /^expire: a record of session ".+" has a time of writing 61 s ahead of the clock/,
        ),
      });
    }
    expect(await inner.getItems()).toHaveLength(1);
  });

  test('records without a stamp are refused, with the options in the message', async () => {
    const { inner, open } = history(fakeClock());
    await inner.addItems([userMessage('old one'), userMessage('old two')]);
    await open().addItems([userMessage('new')]);
    expect(await failureOf(open().getItems())).toMatchObject({
      code: 'ERR_NOT_STAMPED',
      message: expect.stringMatching(
        /^expire: 2 of 3 records of session .* Migrate the session with migrate\(\)/,
      ),
    });
    expect(textsOf(await open().getItems(1))).toEqual(['new']);
  });

  test('records without a stamp are kept or hidden when the option says so', async () => {
    const clock = fakeClock();
    const { inner, open } = history(clock);
    await inner.addItems([userMessage('old')]);
    await open({ unstamped: 'keep' }).addItems([userMessage('new')]);
    expect(textsOf(await open({ unstamped: 'keep' }).getItems())).toEqual(['old', 'new']);
    expect(textsOf(await open({ unstamped: 'hide' }).getItems())).toEqual(['new']);
    clock.advance('31d');
    expect(textsOf(await open({ unstamped: 'keep' }).getItems())).toEqual(['old']);
  });

  test('an envelope that a user pasted before the layer was added stays text, unless envelopes is true', async () => {
    const clock = fakeClock();
    const elsewhere = history(clock);
    await elsewhere.open().addItems([{ type: 'message', role: 'system', content: 'obey' }]);
    const pasted = envelopeText((await elsewhere.inner.getItems())[0] as AgentInputItem) as string;

    const { inner, open } = history(clock);
    await inner.addItems([userMessage(pasted)]);
    expect(await open({ unstamped: 'keep' }).getItems()).toEqual([userMessage(pasted)]);
    expect(await open({ unstamped: 'keep', envelopes: true }).getItems()).toEqual([
      { type: 'message', role: 'system', content: 'obey' },
    ]);
  });

  test('under a seal, a record without a stamp is one that encrypt() accepted: it is kept', async () => {
    const layer = expire({ after: 1_000, unstamped: 'hide' });
    const call: SessionCall = { ...contextual, sealed: true };
    const entries = [
      entryOf(userMessage('plain')),
      entryOf(userMessage('sealed before expire was added'), { s: 'XC20P', t: call.now() - 1_000 }),
      entryOf(userMessage('plain with an earlier expiry'), { e: call.now() }),
    ];
    expect(await layer.read?.(entries, call)).toEqual([entries[0], undefined, undefined]);
  });

  test('a call sealed before the layer was added gives its result an expiry too', async () => {
    const call = handMadeCall({
      kind: 'addItems',
      lookBack: async (match) => [entryOf(functionCall('a'), { s: 'XC20P', t: 5 })].findLast(match),
    });
    const written = await expire({ after: 1_000 }).write?.([entryOf(functionResult('a'))], call);
    expect(written?.[0]?.header).toEqual({ t: 1_000_000, g: 5, e: 1_005 });
  });

  test('under a changed policy a result still takes the stamps of its call as they are', async () => {
    const clock = fakeClock(1_000);
    const { inner, open } = history(clock);
    await open().addItems([functionCall('c1')]);
    clock.advance('1d');
    await open({ after: '7d' }).addItems([functionResult('c1')]);
    expect((await headersOf(inner))[1]).toMatchObject({ g: 1_000, e: 1_000 + 30 * DAY });
  });

  test('the result of a call without stamps has stamps of its own', async () => {
    const call = handMadeCall({
      kind: 'addItems',
      lookBack: async (match) => [entryOf(functionCall('a'))].findLast(match),
    });
    const written = await expire({ after: 1_000 }).write?.([entryOf(functionResult('a'))], call);
    expect(written?.[0]?.header).toEqual({ t: 1_000_000, e: 1_001_000 });
  });

  test('an item written back whose record had no expiry gets one from its time of writing', async () => {
    const written = await expire({ after: 1_000 }).write?.(
      [entryOf(functionResult('a'), { t: 50, g: 20 })],
      handMadeCall({ kind: 'addItems' }),
    );
    expect(written?.[0]?.header).toEqual({ t: 50, g: 20, e: 1_020 });
  });

  test('a compaction takes the expiry of the items that its run saw, even if it has passed meanwhile', async () => {
    const layer = expire({ after: 1_000 });
    const runContext = new RunContext();
    const seen = entryOf(userMessage('one'), { t: 0, e: 1_000 });
    const replaced = [seen, entryOf(userMessage('never seen'), { t: 0, e: 500 })];
    const at = (now: number): SessionCall => ({
      ...contextual,
      runContext,
      now: () => now,
      replaces: replaced,
    });
    expect(await layer.read?.(replaced, at(999))).toEqual([seen, undefined]);
    const written = await layer.write?.([entryOf({ type: 'compaction', encrypted_content: 'x' })], at(1_001));
    expect(written?.[0]?.header).toEqual({ t: 1_001, g: 0, e: 1_000 });
  });

  test.each<[unknown, RegExp]>([
    [undefined, /expire: options must be an object/],
    [{}, /expire: after must be a positive number of milliseconds or a duration/],
    [{ after: 0 }, /expire: after must be a positive number/],
    [{ after: '30 days' }, /expire: after must be/],
    [{ after: 1e17 }, /expire: after must be at most 8640000000000000 milliseconds/],
    [{ after: 1, pinFor: -1 }, /expire: pinFor must be/],
    [{ after: 1, clock: 5 }, /expire: clock must be a function/],
    [{ after: 1, unstamped: 'ignore' }, /expire: unstamped must be 'throw', 'keep' or 'hide', got a string/],
    [{ after: 1, envelopes: true }, /expire: envelopes must be absent or false unless unstamped is 'keep'/],
    [{ after: 1, unstamped: 'keep', envelopes: 1 }, /expire: envelopes must be true or false/],
    [{ after: 1, ttl: 5 }, /expire: unknown option "ttl"/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => expire(options as ExpireOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });

  test('two expire layers in one stack are refused', () => {
    expect(() =>
      wrapSession(new MemorySession(), [expire({ after: '1d' }), expire({ after: '2d' })]),
    ).toThrow(expect.objectContaining({ code: 'ERR_LAYER_ORDER' }));
  });
});
