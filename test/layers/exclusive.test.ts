import { DatabaseSync } from 'node:sqlite';
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
import { LEASES } from '../../src/stores/driver.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { temporaryFolder } from '../stores/folder.ts';

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

  test('gives up a wait in time, and a turn that nobody ends', async () => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 1_000, hold: 60_000 })]);
    vi.useFakeTimers();
    await readIn(session, new RunContext());
    const late = readIn(session, new RunContext()).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await late).toMatchObject({
      code: 'ERR_TIMEOUT',
      message: expect.stringContaining('another run has session') as string,
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await readIn(session, new RunContext())).toEqual([]);
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
        'exclusive: this run lost session "a" to another one: it took too long without a sign of life. Nothing was ' +
        'written; run it again.',
    };
    await expect(late.addItems([message('late')], context)).rejects.toMatchObject(conflict);
    const again = new RunContext();
    await store.session('a')[LEASES].release('session a', 'another');
    await readIn(session, again);
    await late.addItems([message('in turn')], again);
    expect(await session.getItems()).toEqual([message('before'), message('in turn')]);
  });

  test('lets calls without a run pass, so that a tool can look at the history', async () => {
    const session = wrapSession(new MemorySession(), [exclusive()]);
    const context = new RunContext();
    await readIn(session, context);
    await session.addItems([message('from a tool')]);
    expect(await session.getItems()).toEqual([message('from a tool')]);
  });

  test('refuses options that it does not know or understand', () => {
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error;
    expect(() => exclusive({ wait: 'long' as never })).toThrow(invalid);
    expect(() => exclusive({ lock: true } as never)).toThrow(invalid);
  });
});
