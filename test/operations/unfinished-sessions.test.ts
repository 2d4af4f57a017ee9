import type { AgentInputItem, Session } from '@openai/agents';
import { describe, expect, test, vi } from 'vitest';
import { derivedId } from '../../src/history/index.ts';
import {
  encrypt,
  generateKey,
  keyring,
  redact,
  wrapSession,
  wrapStore,
  type Store,
} from '../../src/index.ts';
import {
  checkKeys,
  memoryDekStore,
  purgeDataKeys,
  reencrypt,
  rewrap,
  shred,
  verifySessions,
  type DekStore,
} from '../../src/operations/index.ts';
import { eraseSession, returnedSessions, verifyErasure } from '../../src/operations/retention.ts';
import { DEK_STORE } from '../../src/session-contract.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { everyStore } from '../stores/every-store.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const HOUR = 3_600_000;

async function all<T>(found: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const each of found) list.push(each);
  return list;
}

/** An erasure that ends when it has announced itself, before it removes anything. */
async function interruptedErasure(sessions: Store, keys: DekStore, id: string): Promise<void> {
  const put = keys.put.bind(keys);
  const stop = vi.spyOn(keys, 'put').mockImplementation(async (record) => {
    await put(record);
    throw new Error('the process ended');
  });
  await expect(eraseSession(sessions, id)).rejects.toThrow('the process ended');
  stop.mockRestore();
}

describe.each(await everyStore('an erasure that was interrupted'))(
  'an erasure that was interrupted while it recorded itself, in $name',
  ({ absent, open, clean }) => {
    test.skipIf(absent).each(['table', 'own'] as const)('is no data key: keys in %s', async (where) => {
      const raw = open();
      try {
        const keys = keyring({ current: await generateKey() });
        const own = memoryDekStore();
        const table = (raw.session('a') as unknown as { readonly [DEK_STORE]: DekStore })[DEK_STORE];
        const dekStore = where === 'own' ? own : table;
        const sessions = wrapStore(raw, [encrypt({ keys, ...(where === 'own' && { dekStore }) })]);
        for (const id of ['a', 'b']) await sessions.session(id).addItems([said('one')]);
        const { sessions: erased, ...report } = await eraseSession(sessions, 'none');
        await interruptedErasure(sessions, dekStore, 'a');
        expect(await reencrypt(sessions, { grace: 0 })).toMatchObject({ sessions: 2, entries: 2 });
        // The conversation goes on: it was not erased.
        await sessions.session('a').addItems([said('anew')]);
        const sealed = await reencrypt(sessions, { grace: 0 });
        expect(sealed).toMatchObject({ entries: 3 });
        expect(sealed.failures).toBeUndefined();
        expect(await rewrap(sessions)).toMatchObject({ failed: 0 });
        await using copy = openSqlite(':memory:');
        await transfer(raw, copy);
        const copied = (copy.session('a') as unknown as { readonly [DEK_STORE]: DekStore })[DEK_STORE];
        expect((await all(copied.list())).map(({ kid }) => kid)).not.toContain('erased');
        const clock = (): number => Date.now() + HOUR;
        const purged = await purgeDataKeys(sessions, { after: HOUR, clock, maxAhead: 'any' });
        expect(purged.destroyed.map(({ kid }) => kid)).not.toContain('erased');
        expect(await all(returnedSessions(sessions))).toEqual([]);
        const named = {
          ...report,
          sessions: [...erased, { id: 'a', kind: 'conversation', records: 1, keys: [] }],
        };
        expect((await verifyErasure(sessions, named)).filter(({ what }) => what === 'key')).toEqual([]);
        const receipt = await shred(sessions.session('a'));
        expect(receipt.keys.map(({ kid }) => kid)).not.toContain('erased');
        await eraseSession(sessions, 'a');
        expect(await checkKeys(sessions, { keys })).toEqual([]);
      } finally {
        for (const id of ['a', 'b']) await raw.deleteSession(id);
        await raw.close();
        await clean();
      }
    });
  },
);

describe.each(await everyStore('reencrypt() over sessions that do not open'))(
  'reencrypt() over a store with a session that does not open, in $name',
  ({ absent, open, clean }) => {
    test.skipIf(absent)('finishes the others, and reports that one', async () => {
      const raw = open();
      try {
        const keys = keyring({ current: await generateKey() });
        const strange = keyring({ current: await generateKey() });
        const sessions = wrapStore(raw, [encrypt({ keys })]);
        for (const id of ['a', 'z']) await sessions.session(id).addItems([said('one')]);
        await raw.session('m').addItems([said('in clear')]);
        await wrapStore(raw, [encrypt({ keys: strange })])
          .session('n')
          .addItems([said('one')]);
        await wrapStore(raw, [encrypt({ keys, context: { of: 'another' } })])
          .session('o')
          .addItems([said('one')]);
        const report = await reencrypt(sessions, { grace: 0 });
        expect(report).toMatchObject({ sessions: 2, entries: 2, held: [] });
        expect(report.destroyed).toHaveLength(2);
        expect(report.failures?.toSorted((one, other) => (one.sessionId < other.sessionId ? -1 : 1))).toEqual(
          [
            { sessionId: 'm', code: 'ERR_NOT_SEALED' },
            { sessionId: 'n', code: 'ERR_KEY_UNKNOWN' },
            { sessionId: 'o', code: 'ERR_COMMITMENT' },
          ],
        );
        expect(await sessions.session('z').getItems()).toHaveLength(1);
        await expect(reencrypt(sessions.session('n'), { grace: 0 })).rejects.toMatchObject({
          code: 'ERR_KEY_UNKNOWN',
        });
      } finally {
        for (const id of ['a', 'z', 'm', 'n', 'o']) await raw.deleteSession(id);
        await raw.close();
        await clean();
      }
    });

    test.skipIf(absent).each([{ inline: false }, { inline: true }])(
      'leaves a vault alone that has another context (inline keys: $inline)',
      async ({ inline }) => {
        const raw = open();
        try {
          const keys = keyring({ current: await generateKey() });
          const seal = encrypt({ keys, context: { of: 'vault' }, ...(inline && { dekStore: 'inline' }) });
          const vault = (id: string): Session =>
            wrapSession(raw.session(derivedId({ kind: 'vault', of: id }), { derived: true }), [seal]);
          const operators = {
            DEFAULT: { type: 'pseudonymize', key: new Uint8Array(32).fill(3) },
          } as const;
          const sessions = wrapStore(raw, [
            redact({ entities: ['EMAIL_ADDRESS'], operators, vault }),
            encrypt({ keys }),
          ]);
          for (const id of ['a', 'b']) await sessions.session(id).addItems([said('mail ada@example.com')]);
          const report = await reencrypt(sessions, { grace: 0 });
          expect(report).toMatchObject({ sessions: 2, entries: 2 });
          expect(report.failures).toBeUndefined();
          expect(report.destroyed).toHaveLength(2);
          for (const id of ['a', 'b']) expect(await vault(id).getItems()).toHaveLength(1);
          expect(await verifySessions(sessions.session('a'))).toMatchObject({ failures: [] });
        } finally {
          for (const id of ['a', 'b']) await raw.deleteSession(id);
          await raw.close();
          await clean();
        }
      },
    );
  },
);
