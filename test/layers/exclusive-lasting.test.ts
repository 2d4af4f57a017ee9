import {
  Agent,
  MemorySession,
  RunContext,
  Runner,
  type AgentInputItem,
  type Session,
  type SessionHistoryTransactionArgs,
} from '@openai/agents';
import { assistantMessage, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { authorize } from '../../src/layers/authorize.ts';
import { exclusive } from '../../src/layers/exclusive.ts';
import { runExclusive } from '../../src/operations/run-exclusive.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { temporaryFolder } from '../stores/folder.ts';

const file = temporaryFolder();
const runner = new Runner({ tracingDisabled: true });

const message = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

/** An agent that answers with the number of the items that it saw, once `before` is over. */
function counting(before: () => unknown = () => undefined): Agent {
  const responder = modelResponder(async ({ request }) => {
    await before();
    return [assistantMessage(`saw ${request.input.length}`)];
  });
  return new Agent({ name: 'Counter', model: new ScriptedModel([responder, responder, responder]) });
}

/** The members of a session as the runner calls them in a run. */
interface InRun {
  getItems(limit: undefined, run: RunContext): Promise<AgentInputItem[]>;
  addItems(items: AgentInputItem[], run: RunContext): Promise<void>;
  popItem(run: RunContext): Promise<unknown>;
  clearSession(run: RunContext): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[], run: RunContext): Promise<void>;
  applyHistoryTransaction(args: SessionHistoryTransactionArgs, run: RunContext): Promise<void>;
}
const inRun = (session: Session): InRun => session as unknown as InRun;

const timeout = {
  code: 'ERR_TIMEOUT',
  message: expect.stringContaining('another run has held session') as string,
};

/** What a run that asks for the turn gets, when the one that has it does nothing. */
async function askedFor(session: Session): Promise<unknown> {
  if (!vi.isFakeTimers()) vi.useFakeTimers();
  const asked = inRun(session)
    .getItems(undefined, new RunContext())
    .catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(1_001);
  return await asked;
}

const reads = new Error('no disk');

/** Reads of this session fail in the order of `outcomes`. */
function failingReads(...outcomes: (() => Promise<void>)[]): MemorySession {
  const inner = new MemorySession();
  const getItems = inner.getItems.bind(inner);
  inner.getItems = async (limit) => {
    await outcomes.shift()?.();
    return getItems(limit);
  };
  return inner;
}

describe('the turn of exclusive()', () => {
  afterEach(() => void vi.useRealTimers());

  describe('lasts until the items of the run are written', () => {
    test.each(['run()', 'runExclusive()'])(
      'so that %s whose write failed restores the history before the next run reads it',
      async (how) => {
        const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
        const inner = new MemorySession();
        await inner.addItems([message('old question'), assistantMessage('old answer')]);
        const add = inner.addItems.bind(inner);
        let failures = 1;
        inner.addItems = async (items) => {
          if (failures-- > 0) throw new Error('no disk');
          await add(items);
        };
        const session = wrapSession(inner, [exclusive()]);
        const ask = async (agent: Agent, input: string): Promise<unknown> =>
          how === 'run()'
            ? runner.run(agent, input, { session }).then(({ finalOutput }) => finalOutput)
            : runExclusive(runner, agent, input, { session }).then(({ finalOutput }) => finalOutput);
        let second: Promise<unknown> | undefined;
        const compacted = modelResponder(async () => {
          second = ask(counting(), 'second question');
          return [
            { type: 'compaction', id: 'cmp', encrypted_content: 'sealed' },
            assistantMessage('compacted'),
          ];
        });
        const compacting = new Agent({ name: 'Compacting', model: new ScriptedModel([compacted]) });
        await expect(ask(compacting, 'first question')).rejects.toThrow('no disk');
        expect(await second).toBe('saw 3');
        expect(await session.getItems()).toMatchObject([
          message('old question'),
          { role: 'assistant' },
          message('second question'),
          { role: 'assistant' },
        ]);
        warned.mockRestore();
      },
    );

    const args: SessionHistoryTransactionArgs = {
      operationId: 'one',
      transaction: { type: 'append_items', items: [message('a')] },
    };
    test.each<[keyof InRun, (session: InRun, run: RunContext) => Promise<void>]>([
      ['addItems', (session, run) => session.addItems([message('a')], run)],
      ['replaceHistoryWithCompaction', (session, run) => session.replaceHistoryWithCompaction([], run)],
      ['applyHistoryTransaction', (session, run) => session.applyHistoryTransaction(args, run)],
    ])('and %s that fails ends it, so that the run can be repeated', async (member, write) => {
      const inner = Object.assign(new MemorySession(), {
        [member]: () => Promise.reject(new Error('no disk')),
      });
      const session = wrapSession(inner, [exclusive({ wait: 1_000 })]);
      const run = new RunContext();
      await inRun(session).getItems(undefined, run);
      await expect(write(inRun(session), run)).rejects.toThrow('no disk');
      expect(await askedFor(session)).toEqual([]);
    });

    test.each<[string, (session: InRun, run: RunContext) => Promise<unknown>]>([
      ['clearSession', (session, run) => session.clearSession(run)],
      ['popItem', (session, run) => session.popItem(run)],
    ])(
      'and not by a write that fails after %s, because the run restores what it removed',
      async (_, remove) => {
        const inner = new MemorySession();
        await inner.addItems([message('old')]);
        const add = inner.addItems.bind(inner);
        inner.addItems = () => Promise.reject(new Error('no disk'));
        const session = wrapSession(inner, [exclusive({ wait: 1_000 })]);
        const run = new RunContext();
        const old = await inRun(session).getItems(undefined, run);
        await remove(inRun(session), run);
        await expect(inRun(session).addItems([message('a')], run)).rejects.toThrow('no disk');
        expect(await askedFor(session)).toMatchObject(timeout);
        inner.addItems = add;
        await inRun(session).addItems(old, run);
        expect(await askedFor(session)).toEqual(old);
      },
    );
  });

  describe('begins with a read that succeeds', () => {
    test.each([
      ['above authorize()', ['exclusive', 'authorize']],
      ['below authorize()', ['authorize', 'exclusive']],
    ])('%s, a run that may not read has none', async (_place, order) => {
      const layers = {
        exclusive: exclusive({ wait: 200 }),
        authorize: authorize({ check: ({ runContext }) => runContext?.context === 'owner' }),
      };
      const stack = order.map((name) => layers[name as keyof typeof layers]);
      const path = file(`${order.join('-')}.db`);
      await using store = openSqlite(path);
      await using elsewhere = openSqlite(path);
      const refused = new RunContext('stranger');
      const [here, there] = [store, elsewhere].map((each) => wrapSession(each.session('a'), stack));
      await expect(
        runner.run(counting(), 'hello', { session: here as Session, context: refused }),
      ).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
      for (const session of [there, here] as Session[])
        expect((await runner.run(counting(), 'hello', { session, context: 'owner' })).finalOutput).toMatch(
          'saw',
        );
      expect(refused.context).toBe('stranger');
    });

    test('a run whose first read fails has none', async () => {
      const session = wrapSession(
        failingReads(() => Promise.reject(reads)),
        [exclusive({ wait: 200 })],
      );
      const context = new RunContext();
      await expect(runner.run(counting(), 'hello', { session, context })).rejects.toThrow(reads);
      expect((await runner.run(counting(), 'hello', { session })).finalOutput).toBe('saw 1');
      expect(context.usage.requests).toBe(0);
    });

    test('a run that has read keeps it when a later read fails', async () => {
      const session = wrapSession(
        failingReads(
          async () => undefined,
          () => Promise.reject(reads),
        ),
        [exclusive({ wait: 1_000 })],
      );
      const run = new RunContext();
      await inRun(session).getItems(undefined, run);
      await expect(inRun(session).getItems(undefined, run)).rejects.toThrow(reads);
      expect(await askedFor(session)).toMatchObject(timeout);
    });

    test('a run with two reads at once keeps it while one of them can succeed', async () => {
      let answer = (): void => undefined;
      const answered = new Promise<void>((resolve) => (answer = resolve));
      const session = wrapSession(
        failingReads(
          () => Promise.reject(reads),
          () => answered,
        ),
        [exclusive({ wait: 1_000 })],
      );
      const run = new RunContext();
      const both = [inRun(session).getItems(undefined, run), inRun(session).getItems(undefined, run)];
      await expect(Promise.race(both)).rejects.toThrow(reads);
      expect(await askedFor(session)).toMatchObject(timeout);
      answer();
      expect(await Promise.any(both)).toEqual([]);
    });
  });

  describe('belongs to the session, whichever layer gave it', () => {
    test('two layers over one session make one line', async () => {
      const inner = new MemorySession();
      const [one, two] = [wrapSession(inner, [exclusive()]), wrapSession(inner, [exclusive()])];
      let second: Promise<{ finalOutput?: string | undefined }> | undefined;
      const first = counting(() => void (second = runner.run(counting(), 'second', { session: two })));
      expect((await runner.run(first, 'first', { session: one })).finalOutput).toBe('saw 1');
      expect((await second)?.finalOutput).toBe('saw 3');
    });

    test('a run waits as long as its own layer says, and is waited for as long as its own layer says', async () => {
      vi.useFakeTimers();
      const inner = new MemorySession();
      const patient = wrapSession(inner, [exclusive({ wait: '1h', hold: '10m' })]);
      const hasty = wrapSession(inner, [exclusive({ wait: 1_000, hold: 1 })]);
      const run = new RunContext();
      await inRun(patient).getItems(undefined, run);
      expect(await askedFor(hasty)).toMatchObject(timeout);
      const waiting = inRun(patient).getItems(undefined, new RunContext());
      await vi.advanceTimersByTimeAsync(600_000);
      expect(await waiting).toEqual([]);
    });
  });

  describe('is not waited for by a change', () => {
    test.each<[string, (session: InRun, run: RunContext) => Promise<unknown>]>([
      ['popItem', (session, run) => session.popItem(run)],
      ['clearSession', (session, run) => session.clearSession(run)],
    ])('of a run without one: %s stands in no way of the run that has it', async (_member, change) => {
      const session = wrapSession(new MemorySession(), [exclusive({ wait: 200 })]);
      const run = new RunContext();
      await inRun(session).getItems(undefined, run);
      const changed = change(inRun(session), new RunContext());
      await inRun(session).addItems([message('in turn')], run);
      await changed;
      expect(await session.getItems()).toEqual([message('in turn')]);
    });
  });
});
