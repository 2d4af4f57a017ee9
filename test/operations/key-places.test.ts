import { MemorySession, type AgentInputItem } from '@openai/agents';
import type { JWK } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  wrapSession,
  wrapStore,
  type Keyring,
} from '../../src/index.ts';
import {
  checkKeys,
  destroyKey,
  hold,
  memoryDekStore,
  purgeDataKeys,
  reencrypt,
  release,
  rewrap,
  type KeyTarget,
} from '../../src/operations/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { coded, failure } from '../crypto/failure.ts';
import { temporaryFolder } from '../stores/folder.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const path = temporaryFolder();

let old: JWK & { kid: string };
let next: JWK & { kid: string };
beforeEach(async () => {
  old = { ...(await generateKey()), kid: 'old' };
  next = { ...(await generateKey()), kid: 'next' };
});

/** The stack of the README, as one process has it. */
function readme(file: string, keys: Keyring): Store {
  return wrapStore(openSqlite(file), [
    expire({ after: '30d' }),
    cache({ maxItems: 50_000 }),
    encrypt({ keys }),
  ]);
}

describe('the procedure after a theft', () => {
  it.each(['reencrypt', 'rewrap'] as const)(
    'by %s works on the stack of the README, in each process at once',
    async (how) => {
      const file = path(`${how}.db`);
      const keys = keyring({ current: old });
      const others = keyring({ current: old });
      const [mine, other] = [readme(file, keys), readme(file, others)];
      await mine.session('a').addItems([said('1')]);
      await other.session('a').addItems([said('2')]);
      await other.session('b').addItems([said('3')]);
      // What it held is gone, its data key is not.
      await mine.session('cleared').addItems([said('4')]);
      await mine.session('cleared').clearSession();
      const all = async (): Promise<AgentInputItem[][]> =>
        Promise.all([mine, other].flatMap((store) => ['a', 'b'].map((id) => store.session(id).getItems())));
      const before = await all();

      for (const ring of [keys, others]) {
        ring.add(next);
        ring.promote('next');
      }
      expect(await failure(() => destroyKey(keys, 'old', { dekStores: mine }))).toEqual(
        coded('ERR_CONFLICT', /^destroyKey: 4 data keys are still wrapped by the key "old"/),
      );
      if (how === 'reencrypt') await reencrypt(mine, { grace: 0 });
      else await rewrap(mine);
      expect((await checkKeys(mine, { keys })).map(({ kid }) => kid)).toEqual(['next']);
      for (const ring of [keys, others]) await destroyKey(ring, 'old', { dekStores: mine });
      expect(await all()).toEqual(before);
      for (const store of [mine, other]) await store.session('a').addItems([said('5')]);
      expect(
        await readme(file, keyring({ current: next }))
          .session('a')
          .getItems(),
      ).toHaveLength(4);
      await Promise.all([mine.close(), other.close()]);
    },
  );
});

describe('data keys of a key-encryption key', () => {
  const uses = async (target: KeyTarget | KeyTarget[], keys: Keyring): Promise<Record<string, number>> =>
    Object.fromEntries((await checkKeys(target, { keys })).map(({ kid, dataKeys }) => [kid, dataKeys]));

  it('are found by a store, a wrapped store, a wrapped session and a DEK store', async () => {
    const keys = keyring({ current: old });
    const store = openSqlite(':memory:');
    const dekStore = memoryDekStore();
    const table = wrapStore(store, [encrypt({ keys })]);
    const both = wrapStore(store, [encrypt({ keys, dekStore })]);
    await table.session('a').addItems([said('1')]);
    await both.session('b').addItems([said('2')]);
    expect(await uses(store, keys)).toEqual({ old: 1 });
    expect(await uses(table, keys)).toEqual({ old: 1 });
    expect(await uses(wrapStore(table, [cache({ maxItems: 5 })]), keys)).toEqual({ old: 1 });
    expect(await uses(dekStore, keys)).toEqual({ old: 1 });
    expect(await uses(both, keys)).toEqual({ old: 2 });
    expect(await uses(both.session('a'), keys)).toEqual({ old: 1 });
    expect(await uses([store, dekStore], keys)).toEqual({ old: 2 });
    expect(await uses(wrapStore(store, [expire({ after: '1d' })]), keys)).toEqual({ old: 1 });
    await store.close();
  });

  it('are found in records, and a KEK that they need is not destroyed', async () => {
    const keys = keyring({ current: old });
    const store = openSqlite(':memory:');
    const sessions = wrapStore(store, [encrypt({ keys, dekStore: 'inline' })]);
    for (const id of ['a', 'b'])
      for (const text of ['1', '2']) await sessions.session(id).addItems([said(text)]);
    const single = wrapSession(new MemorySession(), [encrypt({ keys })]);
    await single.addItems([said('3')]);
    keys.add(next);
    keys.promote('next');
    expect(await uses([sessions, single], keys)).toEqual({ old: 3 });
    expect(await failure(() => destroyKey(keys, 'old', { dekStores: [sessions, single] }))).toEqual(
      coded('ERR_CONFLICT', /3 data keys/),
    );
    await rewrap(sessions);
    await rewrap(single);
    expect(await uses([sessions, single], keys)).toEqual({ next: 3 });
    await destroyKey(keys, 'old', { dekStores: [sessions, single] });
    expect(await sessions.session('a').getItems()).toEqual([said('1'), said('2')]);
    await store.close();
  });

  it.each<[string, () => unknown]>([
    ['no place', () => []],
    ['nothing', () => undefined],
    ['an object', () => ({})],
    ['a session without encrypt()', () => new MemorySession()],
    ['a list with something else in it', () => [memoryDekStore(), 'keys.db']],
  ])('are not guessed from %s', async (_, target) => {
    const keys = keyring({ current: next, previous: [old] });
    const refused = (where: string): unknown =>
      coded('ERR_INVALID_OPTION', new RegExp(`^${where}: the (target|session) must be`));
    const dekStores = target() as KeyTarget;
    expect(await failure(() => destroyKey(keys, 'old', { dekStores }))).toEqual(refused('destroyKey'));
    expect(await failure(() => checkKeys(dekStores, { keys }))).toEqual(refused('checkKeys'));
    expect(await failure(() => purgeDataKeys(dekStores, { after: '1d' }))).toEqual(refused('purgeDataKeys'));
    expect(keys.state('old')).toBe('previous');
  });

  it('are rewrapped through the store alone, without its layers', async () => {
    const keys = keyring({ current: old, previous: [next] });
    const store = openSqlite(':memory:');
    const sessions = wrapStore(store, [encrypt({ keys })]);
    await sessions.session('a').addItems([said('1')]);
    keys.promote('next');
    expect(await failure(() => rewrap(store))).toEqual(
      coded('ERR_INVALID_OPTION', /^rewrap: keys must be a keyring/),
    );
    expect(await rewrap(store, { keys })).toMatchObject({ rewrapped: 1, failed: 0 });
    await store.close();
  });

  it('are purged through a store, and dropped from the memory of its stack', async () => {
    const clock = fakeClock(1_000_000_000_000);
    const keys = keyring({ current: old });
    const store = openSqlite(':memory:', { clock });
    const sessions = wrapStore(store, [expire({ after: '90d', clock }), encrypt({ keys })]);
    await sessions.session('a').addItems([said('1')]);
    clock.advance(40 * 86_400_000);
    await sessions.session('b').addItems([said('2')]);
    const held = await hold(sessions, { sessionId: 'a', reason: 'case' });
    expect(await purgeDataKeys(sessions, { after: '30d', clock })).toEqual({ destroyed: [], held: ['a'] });
    await release(store, held.id);
    // Opened a moment ago, so that nothing but the purge takes it out of the memory.
    expect(await sessions.session('a').getItems()).toEqual([said('1')]);
    const { destroyed } = await purgeDataKeys(sessions, { after: '30d', clock });
    expect(destroyed.map(({ sessionId }) => sessionId)).toEqual(['a']);
    expect(await sessions.session('a').getItems()).toEqual([]);
    expect(await sessions.session('b').getItems()).toEqual([said('2')]);
    await store.close();
  });

  it('in records cannot be purged', async () => {
    const session = wrapSession(new MemorySession(), [encrypt({ keys: keyring({ current: old }) })]);
    expect(await failure(() => purgeDataKeys(session, { after: '1d' }))).toEqual(
      coded(
        'ERR_UNSUPPORTED',
        /^purgeDataKeys: the data keys of this target are stored inline in its records/,
      ),
    );
  });
});
