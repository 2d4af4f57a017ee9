import {
  MemorySession,
  RunContext,
  type AgentInputItem,
  type SessionHistoryTransactionArgs,
} from '@openai/agents';
import { describe, expect, test } from 'vitest';
import {
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapSession,
  type IntegrityFinding,
} from '../../src/index.ts';
import { envelopeText, readHeader } from '../../src/protocol/envelope.ts';
import { fakeClock, fixedKeyring } from '../../src/testing/index.ts';

interface Tenant {
  readonly tenant: string;
}
type Context = RunContext<Tenant>;

/** One session object and one id, with a history for each tenant, as a session that routes by the run context has. */
function routing(): RoutingSession {
  const buckets = new Map<string, MemorySession>();
  const of = (context?: Context): MemorySession => {
    const tenant = context?.context.tenant ?? 'nobody';
    const bucket = buckets.get(tenant) ?? new MemorySession({ sessionId: 'shared' });
    buckets.set(tenant, bucket);
    return bucket;
  };
  let gate: Promise<void> = Promise.resolve();
  return {
    acceptsRunContext: true as const,
    of: (tenant: string) => of(new RunContext({ tenant })),
    hold(until: Promise<void>) {
      gate = until;
    },
    getSessionId: () => Promise.resolve('shared'),
    getItems: async (limit?: number, context?: Context) => of(context).getItems(limit),
    async addItems(items: AgentInputItem[], context?: Context) {
      if (context?.context.tenant === 'slow') await gate;
      await of(context).addItems(items);
    },
    popItem: async (context?: Context) => of(context).popItem(),
    clearSession: async (context?: Context) => of(context).clearSession(),
    applyHistoryTransaction: async (args: SessionHistoryTransactionArgs, context?: Context) =>
      of(context).applyHistoryTransaction(args),
  };
}

interface RoutingSession {
  readonly acceptsRunContext: true;
  of(tenant: string): MemorySession;
  hold(until: Promise<void>): void;
  getSessionId(): Promise<string>;
  getItems(limit?: number, context?: Context): Promise<AgentInputItem[]>;
  addItems(items: AgentInputItem[], context?: Context): Promise<void>;
  popItem(context?: Context): Promise<AgentInputItem | undefined>;
  clearSession(context?: Context): Promise<void>;
  applyHistoryTransaction(args: SessionHistoryTransactionArgs, context?: Context): Promise<void>;
}

const run = (tenant: string): Context => new RunContext({ tenant });

function user(text: string): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

const CALL: AgentInputItem = { type: 'function_call', callId: 'call_1', name: 'work', arguments: '{}' };
const RESULT: AgentInputItem = {
  type: 'function_call_result',
  callId: 'call_1',
  name: 'work',
  status: 'completed',
  output: 'done',
};

function append(text: string): SessionHistoryTransactionArgs {
  return { operationId: 'operation', transaction: { type: 'append_items', items: [user(text)] } };
}

/** Members with the run context in front of the eyes of the compiler. */
type Wrapper = RoutingSession;

async function headersOf(session: MemorySession): Promise<ReturnType<typeof readHeader>[]> {
  return (await session.getItems()).map((record) => readHeader(envelopeText(record) ?? ''));
}

describe('the state of a wrapper belongs to one history, not to all histories of its session', () => {
  test('the same operation under two tenants is two operations', async () => {
    const inner = routing();
    // An operation seals to the same bytes within a millisecond: the time tells what was sealed from what was remembered.
    let now = 1_000;
    const layers = [expire({ after: '1h', clock: () => now }), encrypt({ keys: fixedKeyring() })];
    const session = wrapSession(inner, layers) as unknown as Wrapper;
    const [a, b] = [run('a'), run('b')];
    await session.applyHistoryTransaction(append('same'), a);
    now++;
    await session.applyHistoryTransaction(append('same'), b);
    const [ofA, ofB] = [await inner.of('a').getItems(), await inner.of('b').getItems()];
    expect(envelopeText(ofB[0] as AgentInputItem)).not.toBe(envelopeText(ofA[0] as AgentInputItem));
    await session.clearSession(b);
    await session.applyHistoryTransaction(append('other'), b);
    expect(await session.getItems(undefined, b)).toEqual([user('other')]);
    expect(await session.getItems(undefined, a)).toEqual([user('same')]);
    await expect(session.applyHistoryTransaction(append('changed'), a)).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
  });

  test('a clean read of one tenant does not allow removing unreadable records of another', async () => {
    const inner = routing();
    const missing = wrapSession(inner.of('a'), [
      encrypt({ keys: keyring({ current: await generateKey() }) }),
    ]);
    await missing.addItems([user('sealed with a key that is not there today')]);
    const session = wrapSession(inner, [
      encrypt({ keys: fixedKeyring(), onUndecryptable: () => 'skip' }),
    ]) as unknown as Wrapper;
    const [a, b] = [run('a'), run('b')];
    await session.addItems([user('of b')], b);
    expect(await session.getItems(undefined, a)).toEqual([]);
    expect(await session.getItems(undefined, b)).toHaveLength(1);
    for (const context of [a, run('a')]) {
      await expect(session.clearSession(context)).rejects.toMatchObject({ code: 'ERR_READ_ONLY' });
    }
    expect(await inner.of('a').getItems()).toHaveLength(1);
    // Nothing of b was ever skipped, whoever asks.
    await session.clearSession(run('b'));
    expect(await inner.of('b').getItems()).toEqual([]);
  });

  test('a result inherits nothing from the call of another tenant', async () => {
    const inner = routing();
    const clock = fakeClock();
    const session = wrapSession(inner, [
      expire({ after: '1h', clock }),
      encrypt({ keys: fixedKeyring() }),
    ]) as unknown as Wrapper;
    await session.addItems([CALL], run('a'));
    clock.advance(1_800_000);
    await session.addItems([RESULT], run('b'));
    const [header] = await headersOf(inner.of('b'));
    expect(header).toMatchObject({ t: clock(), e: clock() + 3_600_000 });
    expect(header).not.toHaveProperty('g');
  });

  test('a compaction of one tenant does not take the expiry of items that another cleared', async () => {
    const inner = routing();
    const clock = fakeClock();
    const session = wrapSession(inner, [
      expire({ after: '1h', clock }),
      encrypt({ keys: fixedKeyring() }),
    ]) as unknown as Wrapper;
    const [a, b] = [run('a'), run('b')];
    await session.addItems([user('old')], a);
    await session.getItems(undefined, a);
    clock.advance(1_800_000);
    await session.clearSession(a);
    const compaction: AgentInputItem = { type: 'compaction', encrypted_content: 'opaque' };
    await session.addItems([compaction], b);
    await session.addItems([compaction], a);
    expect((await headersOf(inner.of('b')))[0]?.e).toBe(clock() + 3_600_000);
    expect((await headersOf(inner.of('a')))[0]?.e).toBe(clock() + 1_800_000);
  });

  test('objects that one tenant read are not recognized when another one writes them', async () => {
    const inner = routing();
    const clock = fakeClock();
    const session = wrapSession(inner, [
      redact({ when: 'read' }),
      expire({ after: '1h', clock }),
      encrypt({ keys: fixedKeyring() }),
    ]) as unknown as Wrapper;
    const [a, b] = [run('a'), run('b')];
    await session.addItems([user('write to ada@example.org')], a);
    const seen = await session.getItems(undefined, a);
    await session.addItems(seen, b);
    const plain = wrapSession(inner.of('b'), [
      expire({ after: '1h', clock }),
      encrypt({ keys: fixedKeyring() }),
    ]);
    expect(JSON.stringify(await plain.getItems())).not.toContain('ada@example.org');
  });

  test('no call waits for a call of another tenant', async () => {
    const inner = routing();
    const session = wrapSession(inner, [encrypt({ keys: fixedKeyring() })]) as unknown as Wrapper;
    let open: () => void = () => undefined;
    inner.hold(new Promise((resolve) => (open = resolve)));
    const slow = session.addItems([user('slow')], run('slow'));
    await session.addItems([user('fast')], run('fast'));
    expect(await session.getItems(undefined, run('fast'))).toHaveLength(1);
    open();
    await slow;
    expect(await session.getItems(undefined, run('slow'))).toHaveLength(1);
  });

  test('calls of one caller keep their order, also over several run contexts', async () => {
    const inner = routing();
    const session = wrapSession(inner, [encrypt({ keys: fixedKeyring() })]) as unknown as Wrapper;
    const context = { tenant: 'a' };
    const texts = Array.from({ length: 20 }, (_, index) => `${index}`);
    await Promise.all(texts.map(async (text) => session.addItems([user(text)], new RunContext(context))));
    expect(await session.getItems(undefined, new RunContext(context))).toEqual(texts.map(user));
  });

  test('records of two tenants are numbered apart, so that no gap is seen', async () => {
    const inner = routing();
    const findings: IntegrityFinding[] = [];
    const session = wrapSession(inner, [
      encrypt({
        keys: fixedKeyring(),
        integrity: 'sequence',
        onIntegrity(finding) {
          findings.push(finding);
          return 'throw';
        },
      }),
    ]) as unknown as Wrapper;
    const [a, b] = [run('a'), run('b')];
    for (let index = 0; index < 3; index++) {
      await session.addItems([user(`a${index}`)], a);
      await session.addItems([user(`b${index}`)], b);
    }
    expect(await session.getItems(undefined, a)).toHaveLength(3);
    expect(await session.getItems(undefined, b)).toHaveLength(3);
    expect(findings).toEqual([]);
  });
});
