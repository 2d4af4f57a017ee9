import { DatabaseSync } from 'node:sqlite';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  Agent,
  MemorySession,
  RunContext,
  Runner,
  type AgentInputItem,
  type RunContextAwareSession,
  type Session,
} from '@openai/agents';
import { assistantMessage, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { exclusive } from '../../src/layers/exclusive.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { runExclusive } from '../../src/operations/run-exclusive.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { LEASES } from '../../src/session-contract.ts';

const file = temporaryFolder();
const runner = new Runner({ tracingDisabled: true });

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** An agent whose answers say how many items it saw. */
function counting(): Agent {
  const steps = Array.from({ length: 4 }, () =>
    modelResponder(async ({ request }) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return [assistantMessage(`saw ${request.input.length}`)];
    }),
  );
  return new Agent({ name: 'Counter', model: new ScriptedModel(steps) });
}

/** Reads as the runner does in a run of this context. */
function readIn(session: Session, context: RunContext): Promise<AgentInputItem[]> {
  return (session as RunContextAwareSession).getItems(undefined, context);
}

describe('exclusive', () => {
  afterEach(() => void vi.useRealTimers());

  test('lets runs on one session follow each other, each with the last one in its history', async () => {
    const agent = counting();
    const session = wrapSession(new MemorySession(), [exclusive()]);
    const results = await Promise.all(['a', 'b', 'c'].map((input) => runner.run(agent, input, { session })));
    expect(results.map(({ finalOutput }) => finalOutput ?? '').sort((a, b) => a.localeCompare(b))).toEqual([
      'saw 1',
      'saw 3',
      'saw 5',
    ]);
    const roles = (await session.getItems()).map((item) => (item as { role?: string }).role);
    expect(roles).toEqual(['user', 'assistant', 'user', 'assistant', 'user', 'assistant']);
  });

  test('interleaves them without it: the test can fail', async () => {
    const agent = counting();
    const session = new MemorySession();
    const results = await Promise.all(['a', 'b', 'c'].map((input) => runner.run(agent, input, { session })));
    expect(results.map(({ finalOutput }) => finalOutput)).toEqual(['saw 1', 'saw 1', 'saw 1']);
  });

  test('does so across two stores over one database', async () => {
    const path = file('exclusive.db');
    await using one = openSqlite(path);
    await using two = openSqlite(path);
    const results = await Promise.all(
      [one, two].map((store) =>
        runner.run(counting(), 'hello', { session: wrapSession(store.session('a'), [exclusive()]) }),
      ),
    );
    expect(results.map(({ finalOutput }) => finalOutput ?? '').sort((a, b) => a.localeCompare(b))).toEqual([
      'saw 1',
      'saw 3',
    ]);
  });

  test('ends a wait in time, and a turn that is never ended', async () => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 1_000, hold: 60_000 })]);
    vi.useFakeTimers();
    await readIn(session, new RunContext());
    const late = readIn(session, new RunContext()).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await late).toMatchObject({
      code: 'ERR_TIMEOUT',
      message: expect.stringContaining('another run has held session') as string,
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await readIn(session, new RunContext())).toEqual([]);
  });

  describe('a run without any call or usage for as long as hold', () => {
    /** Writes as the runner does in a run of this context. */
    function writeIn(session: Session, context: RunContext, text: string): Promise<void> {
      const target = session as unknown as {
        addItems(items: AgentInputItem[], context: RunContext): Promise<void>;
      };
      return target.addItems([message(text)], context);
    }
    const lost = {
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('this run lost session') as string,
    };

    test('keeps its turn while no other run asks for it', async () => {
      const session = wrapSession(new MemorySession(), [exclusive({ hold: 60_000 })]);
      vi.useFakeTimers();
      const slow = new RunContext();
      await readIn(session, slow);
      await vi.advanceTimersByTimeAsync(600_000);
      await writeIn(session, slow, 'late, and nobody was harmed');
      expect(await session.getItems()).toEqual([message('late, and nobody was harmed')]);
    });

    test('loses it to the first other run that asks, and cannot write until it has read again', async () => {
      const session = wrapSession(new MemorySession(), [exclusive({ wait: 90_000, hold: 60_000 })]);
      vi.useFakeTimers();
      const [slow, next] = [new RunContext(), new RunContext()];
      await readIn(session, slow);
      const waiting = readIn(session, next);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(await waiting).toEqual([]);
      await expect(writeIn(session, slow, 'in the middle')).rejects.toMatchObject(lost);
      await writeIn(session, next, 'in turn');
      await expect(writeIn(session, slow, 'afterwards')).rejects.toMatchObject(lost);
      expect(await readIn(session, slow)).toEqual([message('in turn')]);
      await writeIn(session, slow, 'again');
      expect(await session.getItems()).toEqual([message('in turn'), message('again')]);
    });

    test('does not include a run whose model answered meanwhile', async () => {
      const session = wrapSession(new MemorySession(), [exclusive({ wait: '1h', hold: 60_000 })]);
      vi.useFakeTimers();
      const [busy, next] = [new RunContext(), new RunContext()];
      await readIn(session, busy);
      let hasTurn = false;
      const waiting = readIn(session, next).then(() => (hasTurn = true));
      for (let answer = 0; answer < 20; answer++) {
        await vi.advanceTimersByTimeAsync(50_000);
        busy.usage.requests++;
        expect(hasTurn).toBe(false);
      }
      // Signs are looked for when the time is over, so the last one counts from then.
      await vi.advanceTimersByTimeAsync(120_000);
      await waiting;
      await expect(writeIn(session, busy, 'too late')).rejects.toMatchObject(lost);
    });

    test('loses it to a run of another process when its lock has ended, and not before', async () => {
      vi.useFakeTimers();
      const path = file('silent.db');
      await using one = openSqlite(path);
      await using two = openSqlite(path);
      const mine = wrapSession(one.session('a'), [exclusive({ wait: 2_000, hold: 60_000 })]);
      const theirs = wrapSession(two.session('a'), [exclusive({ wait: 2_000, hold: 60_000 })]);
      const [slow, next] = [new RunContext(), new RunContext()];
      const ask = async (): Promise<unknown> => {
        const asked = readIn(theirs, next).catch((error: unknown) => error);
        await vi.advanceTimersByTimeAsync(2_500);
        return await asked;
      };
      await readIn(mine, slow);
      await vi.advanceTimersByTimeAsync(55_000);
      expect(await ask()).toMatchObject({ code: 'ERR_TIMEOUT' });
      await vi.advanceTimersByTimeAsync(20_000);
      expect(await ask()).toEqual([]);
      await expect(writeIn(mine, slow, 'too late')).rejects.toMatchObject(lost);
      await writeIn(theirs, next, 'in turn');
      expect(await mine.getItems()).toEqual([message('in turn')]);
    });
  });

  test('waits for the given time when the clock jumps', async () => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 10_000, hold: '1h' })]);
    vi.useFakeTimers();
    const first = new RunContext();
    await readIn(session, first);
    let outcome: unknown = 'waits';
    const settled = (value: unknown): void => void (outcome = value);
    void readIn(session, new RunContext()).then(settled, settled);
    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(outcome).toBe('waits');
    vi.setSystemTime(Date.now() - 7_200_000);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(outcome).toMatchObject({ code: 'ERR_TIMEOUT' });
    expect(first.usage.requests).toBe(0);
  });

  test('a run keeps its turn across processes while the clock is set an hour ahead and back', async () => {
    vi.useFakeTimers();
    const path = file('set-clock.db');
    await using one = openSqlite(path);
    await using two = openSqlite(path);
    const mine = wrapSession(one.session('a'), [exclusive({ wait: 2_000 })]);
    const theirs = wrapSession(two.session('a'), [exclusive({ wait: 2_000 })]);
    const context = new RunContext();
    await readIn(mine, context);
    for (const by of [3_600_000, -3_600_000, -3_600_000, 3_600_000]) {
      vi.setSystemTime(Date.now() + by);
      const asked = readIn(theirs, new RunContext()).catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(7_000);
      expect(await asked).toMatchObject({ code: 'ERR_TIMEOUT' });
    }
    await (mine as unknown as { addItems(items: AgentInputItem[], run: RunContext): Promise<void> }).addItems(
      [message('in turn')],
      context,
    );
    expect(await readIn(theirs, new RunContext())).toEqual([message('in turn')]);
  });

  test('changes nothing when another process took the lock over while this one was suspended', async () => {
    const path = file('suspended.db');
    await using store = openSqlite(path);
    const session = wrapSession(store.session('a'), [exclusive()]);
    await session.addItems([message('before')]);
    const context = new RunContext();
    await readIn(session, context);
    // What a suspended process wakes up to: its lock ended, and somebody else has it.
    const database = new DatabaseSync(path);
    database.exec("UPDATE strongroom_leases SET owner = 'another'");
    database.close();
    const late = session as unknown as {
      addItems(items: AgentInputItem[], context: RunContext): Promise<void>;
    };
    const conflict = {
      code: 'ERR_CONFLICT',
      message:
        'exclusive: this run lost session "a" to another run, because it did not renew its lease in time. Nothing was ' +
        'written; run it again.',
    };
    await expect(late.addItems([message('late')], context)).rejects.toMatchObject(conflict);
    const again = new RunContext();
    await store.session('a')[LEASES].release('session a', 'another');
    await readIn(session, again);
    await late.addItems([message('in turn')], again);
    expect(await session.getItems()).toEqual([message('before'), message('in turn')]);
  });

  test('allows calls without a run, so that a tool can read the history', async () => {
    const session = wrapSession(new MemorySession(), [exclusive()]);
    const context = new RunContext();
    await readIn(session, context);
    await session.addItems([message('from a tool')]);
    expect(await session.getItems()).toEqual([message('from a tool')]);
  });

  test('refuses unknown and invalid options', () => {
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error;
    expect(() => exclusive({ wait: 'long' as never })).toThrow(invalid);
    expect(() => exclusive({ lock: true } as never)).toThrow(invalid);
  });
});

function fail(error: Error): never {
  throw error;
}

describe('runExclusive', () => {
  const failing = (error: Error): Agent =>
    new Agent({ name: 'Failing', model: new ScriptedModel([modelResponder(async () => fail(error))]) });

  const failures: Readonly<Record<string, () => { agent: Agent; message: RegExp; options?: object }>> = {
    'a provider that is down': () => ({ message: /503/, agent: failing(new Error('503')) }),
    'an abort': () => {
      const controller = new AbortController();
      const model = new ScriptedModel([
        modelResponder(async () => {
          controller.abort(new Error('stopped'));
          throw new Error('aborted');
        }),
      ]);
      return {
        message: /abort|stopped/,
        agent: new Agent({ name: 'Aborted', model }),
        options: { signal: controller.signal },
      };
    },
    'a guardrail': () => ({
      message: /guardrail/i,
      agent: new Agent({
        name: 'Guarded',
        model: new ScriptedModel([modelResponder(async () => [assistantMessage('hello')])]),
        inputGuardrails: [
          { name: 'never', execute: async () => ({ tripwireTriggered: true, outputInfo: undefined }) },
        ],
      }),
    }),
    'too many turns': () => ({
      message: /turns/i,
      agent: failing(new Error('no turn')),
      options: { maxTurns: 0 },
    }),
  };

  test.each(Object.entries(failures))('ends the turn of a run that fails by %s', async (_name, make) => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 200, hold: 60_000 })]);
    const { agent, message: expected, options } = make();
    await expect(runExclusive(runner, agent, 'hello', { session, ...options })).rejects.toThrow(expected);
    expect(await readIn(session, new RunContext())).toBeInstanceOf(Array);
  });

  test('keeps the turn of a streamed run until its stream is complete', async () => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 5_000 })]);
    const streamed = await runExclusive(runner, counting(), 'hello', { session, stream: true });
    const second = runExclusive(runner, counting(), 'again', { session });
    await streamed.completed;
    expect((await second).finalOutput).toBe('saw 3');
  });

  test('without it a run that fails keeps its turn: the test can fail', async () => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 50, hold: 60_000 })]);
    await expect(runner.run(failing(new Error('503')), 'hello', { session })).rejects.toThrow('503');
    await expect(readIn(session, new RunContext())).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  test('refuses a session without exclusive()', async () => {
    const session = new MemorySession();
    await expect(runExclusive(runner, counting(), 'hello', { session })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('a session wrapped with exclusive()') as string,
    });
  });

  test('a second read of one run waits for the lock as the first one does', async () => {
    await using store = openSqlite(':memory:');
    const inner = store.session('a');
    await inner[LEASES].acquire('session a', 'another process', 15_000);
    const session = wrapSession(inner, [exclusive({ wait: 100 })]);
    const context = new RunContext();
    const reads = await Promise.allSettled([readIn(session, context), readIn(session, context)]);
    expect(reads.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  test('plain run(): the turn of a failed run ends when its run context is collected', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 30_000, hold: 3_600_000 })]);
    await readIn(session, new RunContext());
    const next = readIn(session, new RunContext());
    const collecting = setInterval(collect, 10);
    expect(await next).toEqual([]);
    clearInterval(collecting);
  });
});
