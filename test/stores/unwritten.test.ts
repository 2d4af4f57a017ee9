import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { branches } from '../../src/history/branches.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { UNWRITTEN } from '../../src/layer.ts';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { VERSION } from '../../src/session-contract.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { user } from '../history/support/random-history.ts';
import { everyStore } from './every-store.ts';

// A stack with a cache does not ask for the records of a history to which nothing was ever written.

const keys = keyring({ current: await generateKey() });
const stores = await everyStore('histories to which nothing was written');

afterEach(() => void vi.restoreAllMocks());

test('the first read of a conversation asks SQLite for its version only', async () => {
  const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
  const store = openSqlite(':memory:');
  const session = wrapStore(store, [cache({ maxItems: 10 }), encrypt({ keys })]).session('new');
  const reads = (): string[] =>
    prepare.mock.calls.map(([sql]) => sql).filter((sql) => /SELECT[^(]*\bbody\b/.test(sql));
  expect(await session.getItems()).toEqual([]);
  expect(reads()).toEqual([]);
  await session.addItems([user('Hello')]);
  expect(await session.getItems()).toEqual([user('Hello')]);
  // The same question by another stack, which has to open what was written.
  expect(
    await wrapStore(store, [encrypt({ keys })])
      .session('new')
      .getItems(),
  ).toEqual([user('Hello')]);
  expect(reads()).toHaveLength(1);
  await store.close();
});

describe.each(stores)('on $name', ({ absent, open, clean }) => {
  test.skipIf(absent)(
    'no history that was ever written counts as unwritten, also when it is empty again',
    async () => {
      const store = open();
      const bare = store.session('one');
      const version = async (id = 'one'): Promise<string> => store.session(id)[VERSION].read();
      try {
        await bare.addItems([user('Hello')]);
        expect(await version()).not.toBe(UNWRITTEN);
        await bare.popItem();
        expect(await bare.getItems()).toEqual([]);
        expect(await version()).not.toBe(UNWRITTEN);
        await bare.addItems([user('Hello')]);
        await bare.clearSession();
        expect(await version()).not.toBe(UNWRITTEN);
      } finally {
        await store.close();
        await clean();
      }
    },
  );

  test.skipIf(absent)(
    'a stack that has read nothing sees what another stack and a branch begin with',
    async () => {
      const store = open();
      const stack = () => wrapStore(store, [cache({ maxItems: 100 }), encrypt({ keys })]);
      const [reader, writer] = [stack(), stack()];
      try {
        expect(await reader.session('one').getItems()).toEqual([]);
        await writer.session('one').addItems([user('Hello')]);
        expect(await reader.session('one').getItems()).toEqual([user('Hello')]);

        await branches(writer, 'one').create('other');
        expect(await branches(stack(), 'one').session('other').getItems()).toEqual([user('Hello')]);
      } finally {
        await store.close();
        await clean();
      }
    },
  );
});
