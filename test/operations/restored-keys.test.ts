import { DatabaseSync } from 'node:sqlite';
import { MemorySession, type AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, it } from 'vitest';
import { envelopeText, readHeader } from '../../src/protocol/envelope.ts';
import { encrypt, generateKey, keyring, wrapSession, wrapStore } from '../../src/index.ts';
import type { DekDatabase, DekRecord, DekStore } from '../../src/keys/dek-store.ts';
import { memoryDekStore, reencrypt, sessionDekStore, sqliteDekStore } from '../../src/operations/index.ts';
import { mysqlDekStore } from '../../src/stores/mysql.ts';
import { postgresDekStore } from '../../src/stores/postgres.ts';
import { redisDekStore } from '../../src/stores/redis.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from '../stores/cleaning.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { announce, uniqueName } from '../stores/servers.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const didOf = (record: AgentInputItem | undefined): string | undefined =>
  readHeader(envelopeText(record as AgentInputItem) as string)?.d;

const file = temporaryFolder();
const name = uniqueName('w2_restored');
const postgres = await announce('PostgreSQL', 'restored data keys in PostgreSQL');
const mysql = await announce('MariaDB', 'restored data keys in MariaDB');
const redis = await announce('Redis', 'restored data keys in Redis');
afterAll(async () => {
  if (!postgres.absent) await dropPostgresSchema(postgres.url, name);
  if (!mysql.absent) await dropMysqlTables(mysql.url, `${name}_`);
  if (!redis.absent) await deleteRedisKeys(redis.url, name);
});

const stores: Record<string, () => DekStore> = {
  memoryDekStore: () => memoryDekStore(),
  sqliteDekStore: () => sqliteDekStore(file('keys.db')),
  sessionDekStore: () => {
    const inner = new MemorySession();
    return sessionDekStore(() => inner);
  },
  ...(!postgres.absent && { postgresDekStore: () => postgresDekStore(postgres.url, { schema: name }) }),
  ...(!mysql.absent && { mysqlDekStore: () => mysqlDekStore(mysql.url, { prefix: `${name}_` }) }),
  ...(!redis.absent && { redisDekStore: () => redisDekStore(redis.url, { prefix: name }) }),
};

/** With the row of a data key as it was before it was retired. */
function restored(store: DekStore, record: DekRecord): DekStore {
  return {
    ...store,
    get: (sessionId, did) => (did === record.did ? Promise.resolve(record) : store.get(sessionId, did)),
    async *list(filter) {
      yield record;
      yield* store.list(filter);
    },
  };
}

describe('a data key that was replaced because it may be compromised', () => {
  it.each(Object.keys(stores))('seals nothing new when its row in %s is restored', async (kind) => {
    const store = stores[kind]?.() as DekStore;
    const keys = keyring({ current: await generateKey() });
    const inner = new MemorySession({ sessionId: 's' });
    const stack = (dekStore: DekStore) => wrapSession(inner, [encrypt({ keys, dekStore })]);
    await stack(store).addItems([said('a')]);
    const [old] = await inner.getItems();
    const leaked = (await store.get('s', didOf(old) as string)) as DekRecord;
    await reencrypt(stack(store), { grace: 0 });
    // What the thief forged under it is the newest record, and the only one of its kind.
    await inner.addItems([old as AgentInputItem]);
    const later = stack(restored(store, leaked));
    expect(await later.getItems()).toEqual([said('a'), said('a')]);
    await later.addItems([said('secret')]);
    expect(didOf((await inner.getItems()).at(-1))).not.toBe(leaked.did);
    await (store as Partial<DekDatabase>).close?.();
  });

  it('seals nothing new when its row in the table of a store is restored', async () => {
    const path = file('items.db');
    const keys = keyring({ current: await generateKey() });
    const store = openSqlite(path);
    const stack = () => wrapStore(store, [encrypt({ keys })]).session('s');
    await stack().addItems([said('a')]);
    const [old] = await store.session('s').getItems();
    const database = new DatabaseSync(path);
    const row = database.prepare('SELECT did, wrapped FROM strongroom_deks').get() as {
      did: string;
      wrapped: string;
    };
    await reencrypt(stack(), { grace: 0 });
    database
      .prepare('UPDATE strongroom_deks SET wrapped = ?, destroyed_at = NULL WHERE did = ?')
      .run(row.wrapped, row.did);
    database.close();
    await store.session('s').addItems([old as AgentInputItem]);
    const later = openSqlite(path);
    const session = wrapStore(later, [encrypt({ keys })]).session('s');
    expect(await session.getItems()).toEqual([said('a'), said('a')]);
    await session.addItems([said('secret')]);
    expect(didOf((await later.session('s').getItems()).at(-1))).not.toBe(row.did);
    await Promise.all([store.close(), later.close()]);
  });
});
