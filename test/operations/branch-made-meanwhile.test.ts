import type { AgentInputItem, Session } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { branches, derivedId } from '../../src/history/index.ts';
import {
  authorize,
  encrypt,
  generateKey,
  keyring,
  wrapStore,
  type SessionCall,
  type Store,
} from '../../src/index.ts';
import {
  memoryDekStore,
  shred,
  verifySessions,
  type DekStore,
  type ShredReceipt,
} from '../../src/operations/index.ts';
import { eraseSession, type ErasureReport } from '../../src/operations/retention.ts';
import { DEK_STORE, MAINTENANCE } from '../../src/session-contract.ts';
import { everyStore } from '../stores/every-store.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const X = derivedId({ kind: 'branch', of: 'root', name: 'x' });
const LEDGER = derivedId({ kind: 'archive', of: X });

interface Stack {
  readonly sessions: Store;
  /** That of another process. */
  readonly others: Store;
  /** The live data keys of a session. */
  readonly keysOf: (id: string) => Promise<number>;
  /** Runs once before a call that the condition is true for, or before the first destruction of a data key of the branch. */
  readonly before: (
    when: 'destruction' | ((call: SessionCall) => boolean),
    work: () => Promise<void>,
  ) => void;
}

async function stackOf(raw: Store, where: 'table' | 'own'): Promise<Stack> {
  let waiting:
    { when: 'destruction' | ((call: SessionCall) => boolean); work: () => Promise<void> } | undefined;
  const runIf = async (
    isMeant: (when: 'destruction' | ((call: SessionCall) => boolean)) => boolean,
  ): Promise<void> => {
    const found = waiting;
    if (found === undefined || !isMeant(found.when)) return;
    waiting = undefined;
    await found.work();
  };
  const own = memoryDekStore();
  const dekStore: DekStore = {
    ...own,
    async destroy(id, did) {
      await runIf((when) => when === 'destruction');
      return own.destroy(id, did);
    },
  };
  const keys = keyring({ current: await generateKey() });
  const asked = authorize({
    async check(call) {
      await runIf((when) => typeof when === 'function' && when(call));
      return true;
    },
  });
  const table = (raw.session('root') as unknown as { readonly [DEK_STORE]: DekStore })[DEK_STORE];
  const places = where === 'own' ? { dekStore: own } : {};
  return {
    others: wrapStore(raw, [encrypt({ keys, ...places })]),
    sessions: wrapStore(raw, [asked, encrypt({ keys, ...(where === 'own' && { dekStore }) })]),
    async keysOf(id) {
      let count = 0;
      for await (const _ of (where === 'own' ? own : table).list({ sessionId: id })) count++;
      return count;
    },
    before: (when, work) => (waiting = { when, work }),
  };
}

async function textsOf(session: Session): Promise<string[]> {
  return (await session.getItems()).map((item) =>
    'content' in item && typeof item.content === 'string' ? item.content : '',
  );
}

/** The destroyed keys of the branch in a report or receipt, without that of its archive. */
function keysOfX(report: ShredReceipt | ErasureReport): readonly unknown[] {
  if ('sessions' in report) return report.sessions.find(({ id }) => id === X)?.keys ?? [];
  return report.keys.slice(1);
}

const ways = [
  {
    way: 'shred()',
    run: async (sessions: Store): Promise<ShredReceipt> => shred(sessions.session(X, { derived: true })),
  },
  {
    way: 'eraseSession()',
    run: async (sessions: Store): Promise<ErasureReport> => eraseSession(sessions, X, { derived: true }),
  },
];

describe.each(await everyStore('a branch that is made while another one is erased'))(
  'a branch that is made while another one is erased, in $name',
  ({ absent, open, clean }) => {
    const cases = (['table', 'own'] as const).flatMap((where) => ways.map((way) => ({ where, ...way })));

    test.skipIf(absent).each(cases)(
      'keeps what it shows: $way, data keys: $where',
      async ({ where, run }) => {
        const raw = open();
        try {
          const { sessions, others, keysOf, before } = await stackOf(raw, where);
          await sessions.session('root').addItems([said('1')]);
          await branches(sessions, 'root').create('x');
          await sessions.session(X, { derived: true }).addItems([said('2'), said('3')]);
          await sessions.session(LEDGER, { derived: true }).addItems([said('of x')]);
          let shown: string[] = [];
          // What belongs to the branch is asked about when all of it was looked at.
          before(
            ({ sessionId }) => sessionId === LEDGER,
            async () => {
              await branches(others, 'root').create('y', { from: 'x' });
              shown = await textsOf(branches(others, 'root').session('y'));
            },
          );
          const report = await run(sessions);
          expect(shown).toEqual(['1', '2', '3']);
          expect(await textsOf(branches(sessions, 'root').session('y'))).toEqual(shown);
          expect(await verifySessions(sessions)).toMatchObject({ shredded: 0, failed: 0 });
          expect(keysOfX(report)).toHaveLength(raw[MAINTENANCE]?.shares === true ? 0 : 1);
          expect(await keysOf(LEDGER)).toBe(0);
          // What the branch needs goes with the conversation.
          await eraseSession(sessions, 'root');
          expect(await keysOf(X)).toBe(0);
        } finally {
          await raw.deleteSession('root');
          await raw.close();
          await clean();
        }
      },
    );

    test.skipIf(absent).each(ways)(
      'has none of its items when their keys are about to be destroyed in a dekStore: $way',
      async ({ run }) => {
        const raw = open();
        try {
          const { sessions, others, keysOf, before } = await stackOf(raw, 'own');
          await sessions.session('root').addItems([said('1')]);
          await branches(sessions, 'root').create('x');
          await sessions.session(X, { derived: true }).addItems([said('2'), said('3')]);
          let shown: string[] | undefined;
          before('destruction', async () => {
            await branches(others, 'root').create('y', { from: 'x' });
            shown = await textsOf(branches(others, 'root').session('y'));
          });
          await run(sessions);
          expect(shown).toEqual([]);
          expect(await keysOf(X)).toBe(0);
          expect(await verifySessions(sessions)).toMatchObject({ shredded: 0, failed: 0 });
        } finally {
          await raw.deleteSession('root');
          await raw.close();
          await clean();
        }
      },
    );
  },
);
