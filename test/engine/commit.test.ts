import {
  MemorySession,
  type AgentInputItem,
  type Session,
  type SessionHistoryRewriteAwareSession,
  type SessionHistoryTransactionAwareSession,
} from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { encrypt, StrongroomError, wrapSession, type SessionLayer } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { user } from '../history/support/random-history.ts';

type Transacting = Session & SessionHistoryTransactionAwareSession;

/** What becomes of one transaction: refused before it is applied, or applied without an answer. */
type Fate = 'refused' | 'unanswered';

const INNERS: Record<string, { readonly make: () => Transacting; readonly knowsOperations: boolean }> = {
  MemorySession: { make: () => new MemorySession({ sessionId: 's' }), knowsOperations: false },
  'a session of a store': { make: () => openSqlite(':memory:').session('s'), knowsOperations: true },
};

const CALL: AgentInputItem = { type: 'function_call', callId: 'c', name: 'work', arguments: '{}' };
const LOST = new Error('connection reset');

/** Four items, the last one a call, below `encrypt()`; `fates` are those of the next transactions. */
async function opened(
  inner: Transacting,
  error: Error = LOST,
): Promise<{
  readonly session: ReturnType<typeof wrapSession<Transacting>>;
  readonly inner: Transacting;
  readonly fates: (Fate | (() => Promise<void>))[];
  readonly removals: number[];
}> {
  const fates: (Fate | (() => Promise<void>))[] = [];
  const removals: number[] = [];
  const transact = inner.applyHistoryTransaction.bind(inner);
  inner.applyHistoryTransaction = async (args) => {
    const fate = fates.shift();
    if (fate === 'refused') throw error;
    if (typeof fate === 'function') await fate();
    await transact(args);
    if (fate === 'unanswered') throw error;
  };
  const counting: SessionLayer = {
    name: 'counting',
    mutation: () => ({ done: (_appended, removed) => void removals.push(removed?.length ?? 0) }),
  };
  const session = wrapSession(inner, [counting, encrypt({ keys: fixedKeyring() })]);
  await session.addItems([user('m1'), user('m2'), user('m3'), CALL]);
  removals.length = 0;
  return { session, inner, fates, removals };
}

describe.each(Object.entries(INNERS))('a removal over %s', (_name, { make, knowsOperations }) => {
  test('removes one item when the answer is lost and the repeat fails, and never a second one', async () => {
    const { session, fates, removals } = await opened(make());
    fates.push('unanswered', 'refused');
    const popped = await session.popItem().catch((error: unknown) => error);
    expect([popped, removals]).toEqual(knowsOperations ? [CALL, [1]] : [LOST, [0]]);
    expect(await session.getItems()).toEqual([user('m1'), user('m2'), user('m3')]);
  });

  test('returns the removed item when only the answer is lost', async () => {
    const { session, fates, removals } = await opened(make());
    fates.push('unanswered');
    expect(await session.popItem()).toEqual(CALL);
    expect(removals).toEqual([1]);
    expect(await session.getItems()).toHaveLength(3);
  });

  test('throws the error when nothing was removed', async () => {
    const { session, fates } = await opened(make());
    fates.push('refused');
    await expect(session.popItem()).rejects.toBe(LOST);
    expect(await session.getItems()).toHaveLength(4);
  });

  test('pops the item of another writer who was faster', async () => {
    const { session, inner, fates } = await opened(make());
    const other = wrapSession(inner, [encrypt({ keys: fixedKeyring() })]);
    fates.push(async () => other.addItems([user('faster')]));
    expect(await session.popItem()).toEqual(user('faster'));
    expect(await session.getItems()).toHaveLength(4);
  });

  test('tells the layers of the records that a mutation replaced when the answer is lost and the repeat fails', async () => {
    const { session, fates, removals } = await opened(make());
    fates.push('unanswered', 'refused');
    const changed = { ...CALL, arguments: '{"a":1}' } as const;
    const mutated = await (session as unknown as SessionHistoryRewriteAwareSession)
      .applyHistoryMutations({
        mutations: [{ type: 'replace_function_call', callId: 'c', replacement: changed }],
      })
      ?.catch((error: unknown) => error);
    expect([mutated, removals]).toEqual(knowsOperations ? [undefined, [1]] : [LOST, [0]]);
    expect(await session.getItems()).toEqual([user('m1'), user('m2'), user('m3'), changed]);
  });

  test('does not send a removal again after an error which says that nothing was written', async () => {
    const error = new StrongroomError('ERR_STORE', 'refused', { written: 'no' });
    const { session, inner, fates } = await opened(make(), error);
    const other = wrapSession(inner, [encrypt({ keys: fixedKeyring() })]);
    const getItems = inner.getItems.bind(inner);
    inner.getItems = async (...args) => {
      const items = await getItems(...args);
      inner.getItems = getItems;
      await other.addItems([user('faster')]);
      return items;
    };
    fates.push('refused', 'refused');
    await expect(session.popItem()).rejects.toBe(error);
    expect(fates).toEqual(['refused']);
    expect(await session.getItems()).toHaveLength(5);
  });
});
