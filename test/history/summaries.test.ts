import { Agent, MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it, vi } from 'vitest';
import { encrypt, expire, generateKey, keyring, wrapSession, wrapStore } from '../../src/index.ts';
import { archiveHistory, archiveOf, planTrim, summarizeHistory } from '../../src/history/index.ts';
import { derivedId } from '../../src/derived-id.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { plainSession } from '../support/plain-session.ts';
import { assistant, call, reasoning, result, system, user } from './support/random-history.ts';

const keys = keyring({ current: await generateKey() });

const turns = (count: number, from = 0): AgentInputItem[] =>
  Array.from({ length: count }, (_, turn) => [
    user(`question ${turn + from}`),
    assistant(`answer ${turn + from}`),
  ]).flat();

/** The archive of the session `live`. */
const ARCHIVE = derivedId({ kind: 'archive', of: 'live' });

interface Opened {
  readonly session: Session;
  /** Where an application would archive this session to. */
  readonly archive: Session;
  readonly close: () => Promise<void>;
}

/** Every kind of session that can do it: ours bare and wrapped, the SDK's own bare and wrapped. */
const sessions: readonly (readonly [string, () => Opened])[] = [
  [
    'a session of our store',
    () => {
      const store = openSqlite(':memory:');
      return {
        session: store.session('live'),
        archive: store.session(ARCHIVE, { derived: true }),
        close: () => store.close(),
      };
    },
  ],
  [
    'a wrapped session of our store',
    () => {
      const store = openSqlite(':memory:');
      const stack = wrapStore(store, [expire({ after: '30d' }), encrypt({ keys })]);
      return {
        session: stack.session('live'),
        archive: stack.session(ARCHIVE, { derived: true }),
        close: () => store.close(),
      };
    },
  ],
  [
    'MemorySession',
    () => ({ session: new MemorySession(), archive: new MemorySession(), close: () => Promise.resolve() }),
  ],
  [
    'a wrapped MemorySession',
    () => ({
      session: wrapSession(new MemorySession(), [encrypt({ keys })]),
      archive: plainSession(),
      close: () => Promise.resolve(),
    }),
  ],
];

const textOf = (item: AgentInputItem | undefined): string =>
  item !== undefined && 'content' in item && typeof item.content === 'string'
    ? item.content
    : JSON.stringify(item);

describe.each(sessions)('summarizeHistory() on %s', (_name, open) => {
  it('replaces the oldest turns by one system message and keeps the rest word for word', async () => {
    const { session, close } = open();
    const history = [system('rules'), ...turns(10)];
    await session.addItems(history);
    const summarize = vi.fn(() => 'They talked.');
    const report = await summarizeHistory(session, { trigger: { turns: 6 }, keep: { turns: 3 }, summarize });
    expect(summarize).toHaveBeenCalledWith(
      expect.objectContaining({ items: history.slice(1, 15), previous: ['rules'] }),
    );
    expect(report).toMatchObject({
      outcome: 'summarized',
      replaced: 14,
      before: { items: 21, turns: 10 },
      after: { items: 8, turns: 3 },
    });
    const after = await session.getItems();
    expect(after).toEqual([
      system('rules'),
      expect.objectContaining({ role: 'system' }),
      ...history.slice(15),
    ]);
    expect(textOf(after[1])).toMatch(/not an instruction\.\n\nThey talked\.$/);
    await close();
  });

  it('adds one summary a segment and leaves earlier ones as they are', async () => {
    const { session, close } = open();
    let segment = 0;
    const options = { trigger: { turns: 6 }, keep: { turns: 2 }, summarize: () => `segment ${segment++}` };
    await session.addItems(turns(8));
    await summarizeHistory(session, options);
    const first = (await session.getItems())[0];
    await session.addItems(turns(6, 8));
    await summarizeHistory(session, options);
    const items = await session.getItems();
    expect(items[0]).toEqual(first);
    expect(textOf(items[1])).toContain('segment 1');
    expect(items.filter((item) => 'role' in item && item.role === 'system')).toHaveLength(2);
    await close();
  });

  it('does nothing below the trigger', async () => {
    const { session, close } = open();
    await session.addItems(turns(3));
    const summarize = vi.fn(() => 'never');
    expect(await summarizeHistory(session, { trigger: { turns: 6 }, summarize })).toMatchObject({
      outcome: 'not-needed',
      replaced: 0,
    });
    expect(summarize).not.toHaveBeenCalled();
    await close();
  });

  it('changes nothing when the summary fails, is empty, or is too late', async () => {
    const { session, close } = open();
    const history = turns(10);
    await session.addItems(history);
    const trigger = { turns: 4 };
    const failing = (): never => {
      throw new Error('model down');
    };
    await expect(summarizeHistory(session, { trigger, summarize: failing })).rejects.toThrow('model down');
    await expect(summarizeHistory(session, { trigger, summarize: () => ' ' })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('summarize must return a non-empty string'),
    });
    let aborted: AbortSignal | undefined;
    const slow = ({ signal }: { signal: AbortSignal }): Promise<string> => {
      aborted = signal;
      return new Promise<string>(() => undefined);
    };
    vi.useFakeTimers();
    const late = summarizeHistory(session, { trigger, summarize: slow, timeout: '5s' });
    const error = late.catch((reason: unknown) => reason);
    await vi.waitFor(() => expect(aborted).toBeDefined());
    await vi.advanceTimersByTimeAsync(5_000);
    vi.useRealTimers();
    expect(await error).toMatchObject({
      code: 'ERR_TIMEOUT',
      message: expect.stringContaining('longer than 5000 ms. Nothing was changed'),
    });
    expect(aborted?.aborted).toBe(true);
    expect(await session.getItems()).toEqual(history);
    await close();
  });

  it('keeps items that were appended while the summary was written, and fails when the replaced items changed', async () => {
    const { session, close } = open();
    const history = turns(10);
    await session.addItems(history);
    const trigger = { turns: 4 };
    const report = await summarizeHistory(session, {
      trigger,
      summarize: async () => {
        await session.addItems(turns(1, 10));
        return 'first half';
      },
    });
    expect(report.outcome).toBe('summarized');
    const after = await session.getItems();
    expect(after.slice(1)).toEqual([...history.slice(report.replaced), ...turns(1, 10)]);

    await session.addItems(turns(8, 11));
    const changed = await summarizeHistory(session, {
      trigger,
      summarize: async () => {
        await session.clearSession();
        await session.addItems(turns(1, 90));
        return 'of a history that is gone';
      },
    });
    expect(changed.outcome).toBe('changed');
    expect(await session.getItems()).toEqual(turns(1, 90));
    await close();
  });

  it('never cuts between a call and its result, nor into the last turn', async () => {
    const { session, close } = open();
    const history = [
      user('a'),
      reasoning('r'),
      call('late'),
      user('b'),
      assistant('waiting'),
      user('c'),
      result('late'),
      assistant('done'),
      user('d'),
      ...Array.from({ length: 20 }, (_, index) => assistant(`step ${index}`)),
    ];
    await session.addItems(history);
    const report = await summarizeHistory(session, {
      trigger: { items: 10 },
      keep: { items: 1 },
      summarize: () => 's',
    });
    expect(report.replaced).toBe(8);
    expect((await session.getItems()).slice(1)).toEqual(history.slice(8));
    await close();
  });

  it('asks an agent, without tracing, with the items themselves', async () => {
    const { session, close } = open();
    const history = turns(6);
    await session.addItems(history);
    const model = new ScriptedModel([[assistantMessage('The agent summed up.')]]);
    await summarizeHistory(session, {
      trigger: { turns: 3 },
      summarize: new Agent({ name: 'summarizer', model }),
    });
    expect(textOf((await session.getItems())[0])).toContain('The agent summed up.');
    const { input, tracing } = model.lastCall?.request ?? {};
    expect(JSON.stringify(input)).toContain('question 0');
    expect(JSON.stringify(input)).toContain('Summarize the conversation above');
    expect(tracing).toBe(false);
    await close();
  });
});

describe('summarizeHistory()', () => {
  it('lets the summary expire when the first item that it replaces would have', async () => {
    let now = 1_000;
    const store = openSqlite(':memory:');
    const session = wrapStore(store, [expire({ after: 1_000, clock: () => now })]).session('live');
    await session.addItems(turns(2));
    now = 1_500;
    await session.addItems(turns(4, 2));
    await summarizeHistory(session, {
      trigger: { turns: 4 },
      keep: { turns: 2 },
      summarize: () => 'summary',
    });
    expect(await session.getItems()).toHaveLength(5);
    now = 2_000;
    expect(await session.getItems()).toEqual(turns(2, 4));
    await store.close();
  });

  it('does not change a history with a compaction item', async () => {
    const session = new MemorySession();
    await session.addItems([{ type: 'compaction', encrypted_content: 'x' }, ...turns(9)]);
    const report = await summarizeHistory(session, { trigger: { turns: 3 }, summarize: () => 's' });
    expect(report.outcome).toBe('compacted');
  });

  it('refuses a session that cannot replace history atomically', async () => {
    const session = plainSession();
    await session.addItems(turns(9));
    await expect(
      summarizeHistory(session, { trigger: { turns: 3 }, summarize: () => 's' }),
    ).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('has no transactions'),
    });
    expect(await session.getItems()).toEqual(turns(9));
  });

  it('refuses to rewrite a long history as a whole', async () => {
    const session = new MemorySession();
    await session.addItems(turns(9));
    await expect(
      summarizeHistory(session, { trigger: { turns: 3 }, summarize: () => 's', maxRewriteItems: 17 }),
    ).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('18 items, more than maxRewriteItems (17)'),
    });
  });

  it('treats a transaction as done when only its answer was lost', async () => {
    const inner = new MemorySession();
    await inner.addItems(turns(9));
    const apply = inner.applyHistoryTransaction.bind(inner);
    inner.applyHistoryTransaction = async (args): Promise<void> => {
      await apply(args);
      throw new Error('connection lost');
    };
    const report = await summarizeHistory(inner, { trigger: { turns: 3 }, summarize: () => 's' });
    expect(report.outcome).toBe('summarized');
    expect((await inner.getItems()).filter((item) => 'role' in item && item.role === 'system')).toHaveLength(
      1,
    );
  });

  it('does not report an unchanged session when the answer was lost and another writer changed the start', async () => {
    const inner = new MemorySession();
    await inner.addItems(turns(9));
    const apply = inner.applyHistoryTransaction.bind(inner);
    inner.applyHistoryTransaction = async (args): Promise<void> => {
      await apply(args);
      await inner.clearSession();
      throw new Error('connection lost');
    };
    await expect(
      summarizeHistory(inner, { trigger: { turns: 3 }, summarize: () => 's' }),
    ).rejects.toMatchObject({ message: 'connection lost' });
  });

  const summarize = (): string => 's';

  it.each([
    [{ summarize }, 'options must be an object'],
    [{ trigger: {}, summarize }, 'trigger must be given as tokens, turns or items'],
    [{ trigger: { turns: 0 }, summarize }, 'trigger.turns must be a positive whole number'],
    [{ trigger: { turns: 3 }, keep: { turns: 4 }, summarize }, 'keep must be no more than trigger'],
    [{ trigger: { messages: 3 }, summarize }, 'unknown option "messages"'],
    [{ trigger: { turns: 3 } }, 'summarize must be a function or an agent'],
    [{ trigger: { turns: 3 }, summarize, timeout: -1 }, 'timeout must be a positive number'],
  ])('refuses %j', async (options, message) => {
    await expect(summarizeHistory(new MemorySession(), options as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message),
    });
  });
});

describe.each(sessions)('archiveHistory() from %s', (_name, open) => {
  it('moves the items before the cut, and runs send the same as before', async () => {
    const { session, archive: to, close } = open();
    const history = [system('rules'), ...turns(20)];
    await session.addItems(history);
    const trim = { maxTurns: 6 };
    const before = planTrim(history, trim);
    const report = await archiveHistory(session, { before: trim, to });
    const live = await session.getItems();
    expect(report).toMatchObject({ outcome: 'archived', archived: before.cutIndex, left: live.length });
    expect(await to.getItems()).toEqual(history.slice(0, before.cutIndex));
    expect(live).toEqual([system('rules'), ...history.slice(before.cutIndex)]);
    expect(planTrim(live, trim).kept).toEqual(before.kept);

    // Later cuts fall on the same items as if nothing had been archived.
    for (let turn = 20; turn < 40; turn++) {
      await session.addItems(turns(1, turn));
      history.push(...turns(1, turn));
      expect(planTrim(await session.getItems(), trim).kept).toEqual(planTrim(history, trim).kept);
    }
    expect((await archiveHistory(session, { before: trim, to })).outcome).toBe('archived');
    expect((await archiveHistory(session, { before: trim, to })).outcome).toBe('nothing-to-do');
    await close();
  });
});

describe('archiveHistory()', () => {
  it('keeps the expiry of moved items', async () => {
    let now = 1_000;
    const store = openSqlite(':memory:');
    const stack = wrapStore(store, [expire({ after: 1_000, clock: () => now }), encrypt({ keys })]);
    const live = stack.session('live');
    const to = await archiveOf(live);
    await live.addItems(turns(4));
    now = 1_900;
    expect(await archiveHistory(live, { before: 4 })).toMatchObject({ archived: 4, left: 4 });
    expect(await to.getItems()).toEqual(turns(2));
    now = 2_000;
    expect(await to.getItems()).toEqual([]);
    await store.close();
  });

  it('archives into a derived session, which functions on the conversation include', async () => {
    const store = openSqlite(':memory:');
    const stack = wrapStore(store, [expire({ after: '1d' }), encrypt({ keys })]);
    const live = stack.session('live', { subject: 'ada' });
    await live.addItems(turns(4));
    await archiveHistory(live, { before: 4 });
    expect(await (await archiveOf(live)).getItems()).toEqual(turns(2));
    const listed: unknown[] = [];
    for await (const { id, kind, root, subject } of store.sessions({ derived: true }))
      listed.push([id, kind, root, subject]);
    expect(listed).toEqual([[ARCHIVE, 'archive', 'live', 'ada']]);
    expect(await stack.deleteSession('live')).toEqual({ derived: { archive: 1 } });
    await store.close();
  });

  it('refuses an archive in the same store that is not derived from the session', async () => {
    const store = openSqlite(':memory:');
    const live = store.session('live');
    await live.addItems(turns(4));
    for (const id of ['archive', derivedId({ kind: 'archive', of: 'another' })]) {
      const to = store.session(id, { derived: true });
      await expect(archiveHistory(live, { before: 4, to })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('does not belong to it'),
      });
    }
    expect(await live.getItems()).toEqual(turns(4));
    await expect(archiveHistory(new MemorySession(), { before: 4 })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('Pass `to`'),
    });
    await store.close();
  });

  it('refuses to prolong the life of items under expire() when the archive is elsewhere', async () => {
    const store = openSqlite(':memory:');
    const live = wrapStore(store, [expire({ after: '1d' })]).session('live');
    await live.addItems(turns(4));
    await expect(archiveHistory(live, { before: 4, to: new MemorySession() })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('would be kept longer than the originals'),
    });
    expect(await live.getItems()).toEqual(turns(4));
    await store.close();
  });

  it('never puts an archive into the database of the live session when it belongs to another one', async () => {
    const one = openSqlite(':memory:');
    const two = openSqlite(':memory:');
    const live = wrapStore(one, [encrypt({ keys })]).session('live');
    const to = wrapStore(two, [encrypt({ keys })]).session('archive');
    await live.addItems(turns(4));
    await archiveHistory(live, { before: 4, to });
    expect(await to.getItems()).toEqual(turns(2));
    expect(await one.session('archive').getItems()).toEqual([]);
    expect(await live.getItems()).toEqual(turns(2, 2));
    await one.close();
    await two.close();
  });

  it('leaves items in both sessions, never in neither, when the second step fails, and can be repeated', async () => {
    const live = new MemorySession();
    await live.addItems(turns(4));
    const to = new MemorySession();
    const apply = live.applyHistoryTransaction.bind(live);
    live.applyHistoryTransaction = (): Promise<void> => Promise.reject(new Error('disk full'));
    const failed: unknown = await archiveHistory(live, { before: 4, to }).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('Repeat the call with operationId'),
    });
    const operationId = /operationId "([^"]+)"/.exec((failed as Error).message)?.[1] as string;
    expect(await to.getItems()).toEqual(turns(2));
    expect(await live.getItems()).toEqual(turns(4));
    live.applyHistoryTransaction = apply;
    await archiveHistory(live, { before: 4, to, operationId });
    expect(await to.getItems()).toEqual(turns(2));
    expect(await live.getItems()).toEqual(turns(2, 2));
  });

  it('moves the cut back to a turn that no call reaches across', async () => {
    const live = new MemorySession();
    const history = [
      user('a'),
      assistant('b'),
      user('c'),
      call('x'),
      user('d'),
      result('x'),
      assistant('e'),
      user('f'),
    ];
    await live.addItems(history);
    expect(await archiveHistory(live, { before: 5, to: new MemorySession() })).toMatchObject({ archived: 2 });
    expect(await live.getItems()).toEqual(history.slice(2));
  });

  it.each([
    [{ to: new MemorySession(), before: -1 }, 'before must be an index'],
    [{ to: new MemorySession(), before: {} }, 'give at least one budget'],
    [{ to: 7, before: 1 }, 'to must be another session'],
    [{ to: new MemorySession(), before: 1, operationId: '' }, 'operationId must be a non-empty string'],
  ])('refuses %j', async (options, message) => {
    await expect(archiveHistory(new MemorySession(), options as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message),
    });
  });

  it('refuses an archive that is the session itself', async () => {
    const session = new MemorySession();
    await expect(archiveHistory(session, { before: 1, to: session })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
  });
});
