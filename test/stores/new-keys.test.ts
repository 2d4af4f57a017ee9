import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../../src/errors.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { createStoreSession, type StoreSession } from '../../src/stores/session.ts';
import { openConnection } from '../../src/stores/sqlite/connection.ts';
import { sqliteDriver } from '../../src/stores/sqlite/driver.ts';
import type { StoreDriver } from '../../src/stores/driver.ts';
import type { Store } from '../../src/stores/store.ts';
import { createVersions } from '../../src/stores/versions.ts';
import { DEK_STORE } from '../../src/session-contract.ts';
import type { DekRecord } from '../../src/keys/dek-store.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

let keys: Keyring;
beforeAll(async () => {
  keys = keyring({ current: await generateKey() });
});
afterEach(() => void vi.restoreAllMocks());

async function keysOf(session: StoreSession): Promise<DekRecord[]> {
  const found: DekRecord[] = [];
  const id = await session.getSessionId();
  for await (const record of session[DEK_STORE].list({ sessionId: id })) found.push(record);
  return found;
}

/** A data key that is new, on its way into a database. */
function suite(open: () => Store<StoreSession>): void {
  const opened: Store[] = [];
  afterAll(async () => {
    await Promise.all(opened.map((store) => store.close()));
  });
  const bare = (): Store<StoreSession> => {
    const store = open();
    opened.push(store);
    return store;
  };
  const read = (id: string): Promise<AgentInputItem[]> =>
    wrapStore(bare(), [encrypt({ keys })])
      .session(id)
      .getItems();

  it('is shared by concurrent appends through stacks with one layer', async () => {
    const session = bare().session('at once');
    const layer = encrypt({ keys });
    const observing = { name: 'observing' };
    const stacks = [wrapSession(session, [layer]), wrapSession(session, [observing, layer])];
    const texts = Array.from({ length: 6 }, (_, index) => said(`${index}`));
    await Promise.all(texts.map(async (item, index) => stacks[index % 2]?.addItems([item])));
    expect(await keysOf(session)).toHaveLength(1);
    expect(await read('at once')).toHaveLength(texts.length);
  });

  it('is used by a transaction during the first append', async () => {
    const session = bare().session('transaction');
    const layer = encrypt({ keys });
    const stacks = [wrapSession(session, [layer]), wrapSession(session, [{ name: 'other' }, layer])] as const;
    await Promise.all([
      stacks[0].addItems([said('a')]),
      stacks[1].applyHistoryTransaction?.({
        operationId: '1',
        transaction: { type: 'append_items', items: [said('b')] },
      }),
      stacks[0].addItems([said('c')]),
    ]);
    expect(new Set(await read('transaction'))).toEqual(new Set([said('a'), said('b'), said('c')]));
  });

  it('is stored before the records when addItems was replaced', async () => {
    const session = bare().session('replaced');
    const addItems = session.addItems.bind(session);
    let before: readonly unknown[] = [];
    session.addItems = async (items) => {
      before = await keysOf(session);
      await addItems(items);
    };
    await wrapSession(session, [encrypt({ keys })]).addItems([said('a')]);
    expect(before).toHaveLength(1);
    expect(await read('replaced')).toEqual([said('a')]);
  });

  it('is refused where a clone of the process has stored the same one, and the next call makes another', async () => {
    const clones = [bare(), bare()].map((store) => wrapStore(store, [encrypt({ keys })]).session('clones'));
    const real = crypto.getRandomValues.bind(crypto);
    const random = vi.spyOn(crypto, 'getRandomValues').mockImplementation((array) => {
      if (array.byteLength !== 76) return real(array);
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(7);
      return array;
    });
    await clones[0]?.addItems([said('a')]);
    const error = await failure(async () => clones[1]?.addItems([said('lost')]));
    expect(error).toEqual(
      coded('ERR_STORE', /already holds a data key that was just generated\. Nothing was stored/),
    );
    expect(error).toHaveProperty('written', 'no');
    random.mockRestore();
    await clones[1]?.addItems([said('b')]);
    expect(await read('clones')).toEqual([said('a'), said('b')]);
  });

  it('is sent again with the next append when the first one was refused', async () => {
    await bare()
      .session('subject', { subject: 'one' })
      .addItems([said('a')]);
    const layer = encrypt({ keys, unsafeAllowPlaintext: { until: '2100-01-01' } });
    const session = wrapStore(bare(), [layer]).session('subject', { subject: 'other' });
    expect(await failure(() => session.addItems([said('b')]))).toEqual(
      coded('ERR_CONFLICT', /another subject/),
    );
    expect(await failure(() => session.addItems([said('b')]))).toEqual(
      coded('ERR_CONFLICT', /another subject/),
    );
    const right = wrapStore(bare(), [layer]).session('subject', { subject: 'one' });
    await right.addItems([said('c')]);
    expect(await right.getItems()).toEqual([said('a'), said('c')]);
  });
}

const inFolder = temporaryFolder();

describe('a new data key in SQLite', () => {
  const path = inFolder('new-keys.db');
  suite(() => openStore(path, ''));

  it('is written in the transaction of its first records, or not at all', async () => {
    await using store = openStore(path, '');
    await store.session('whole', { subject: 'one' }).addItems([said('a')]);
    const other = wrapStore(openStore(path, ''), [encrypt({ keys })]);
    const refused = other.session('whole', { subject: 'other' });
    expect(await failure(() => refused.addItems([said('b')]))).toEqual(
      coded('ERR_CONFLICT', /another subject/),
    );
    expect(await keysOf(store.session('whole'))).toEqual([]);
    await other.close();
  });

  it('is not restored when it was deleted after a write with an unknown result', async () => {
    const connection = openConnection({
      path: inFolder('unknown.db'),
      durability: 'normal',
      busyTimeout: 1_000,
    });
    const real = sqliteDriver(connection, 16, () => 1_000);
    let answers = false;
    const driver: StoreDriver = {
      ...real,
      async append(batch) {
        await real.append(batch);
        if (!answers) throw new StrongroomError('ERR_STORE', 'the answer was lost', { written: 'unknown' });
      },
    };
    const session = createStoreSession(
      driver,
      's',
      createVersions(driver)('s'),
      () => 1_000,
      {},
      () => true,
    );
    const stack = wrapSession(session, [encrypt({ keys })]);
    expect(await failure(() => stack.addItems([said('a')]))).toEqual(coded('ERR_STORE', /answer was lost/));
    const [first] = await keysOf(session);
    await connection.write(({ run }) => run('DELETE FROM strongroom_deks'));
    answers = true;
    await stack.addItems([said('b')]);
    const found = await keysOf(session);
    expect(found).toHaveLength(1);
    expect(found[0]?.did).not.toBe(first?.did);
    await connection.close();
  });
});

const postgres = await announce('PostgreSQL', 'new data keys in PostgreSQL');
describe.skipIf(postgres.absent)('a new data key in PostgreSQL', () => {
  const schema = uniqueName('w1_new_keys');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  suite(() => openStore(postgres.url, schema));
});

const mysql = await announce('MariaDB', 'new data keys in MariaDB');
describe.skipIf(mysql.absent)('a new data key in MariaDB', () => {
  const prefix = uniqueName('w1_new_keys');
  afterAll(() => dropMysqlTables(mysql.url, `${prefix}_`));
  suite(() => openStore(mysql.url, prefix));
});

const redis = await announce('Redis', 'new data keys in Redis');
describe.skipIf(redis.absent)('a new data key in Redis', () => {
  const prefix = uniqueName('w1_new_keys');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  suite(() => openStore(redis.url, prefix));
});
