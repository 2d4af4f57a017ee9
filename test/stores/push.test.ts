import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem } from '@openai/agents';
import { Redis } from 'ioredis';
import { Client, Pool } from 'pg';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import type { VersionSource } from '../../src/layer.ts';
import { openPostgres, postgresSetup } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { recordingSession } from '../../src/testing/recording-session.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { rounds } from '../support/soak.ts';
import { deleteRedisKeys, dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { startPooler, withoutPooler } from './pooler.ts';
import { startProxy } from './proxy.ts';
import { restorePostgres } from './schema-fixtures.ts';
import { announce, uniqueName } from './servers.ts';
import { VERSION } from '../../src/session-contract.ts';

/** Each waits until an answer is late. One connection left behind shows after the first already. */
const LOSSES = rounds(1, 4);

/** Announcements arrive when they arrive; this only ends a test in which they never do. */
const eventually = (condition: () => unknown): Promise<unknown> =>
  vi.waitUntil(condition, { timeout: 60_000, interval: 10 });

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** A cached, sealed session over a store, and how often the database was asked for the version or for items. */
async function counted(store: Store<StoreSession>, id: string, key: ReturnType<typeof generateKey>) {
  const recording = recordingSession(store.session(id));
  const source = store.session(id)[VERSION];
  let versions = 0;
  const counting: VersionSource = {
    known: () => source.known(),
    read: () => {
      versions++;
      return source.read();
    },
    compare: (version, steps) => {
      versions++;
      return source.compare(version, steps);
    },
    stepOf: (record) => source.stepOf(record),
  };
  const inner = Object.assign(Object.create(recording.session) as StoreSession, { [VERSION]: counting });
  const session = wrapSession(inner, [
    cache({ maxItems: 1_000 }),
    encrypt({ keys: keyring({ current: await key }) }),
  ]);
  return {
    session,
    source,
    /** Reads, and tells whether the next read needs no question. */
    settled: async (): Promise<boolean> => {
      await session.getItems();
      return source.known() !== undefined;
    },
    asked: (): number => {
      const reads = recording.count('getItems') + versions;
      recording.reset();
      versions = 0;
      return reads;
    },
  };
}

/** @param ours - Opens the store that listens; `theirs` the one of another process, which need not. */
function suite(ours: () => Store<StoreSession>, theirs: () => Store<StoreSession>): void {
  const key = generateKey();
  const opened: Store<StoreSession>[] = [];
  const open = (make: () => Store<StoreSession>): Store<StoreSession> => {
    opened.push(make());
    return opened.at(-1) as Store<StoreSession>;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
  });

  test('queries nothing while nothing changes, and shows a change of another process once it was announced', async () => {
    const id = uniqueName('push');
    const { session, source, settled, asked } = await counted(open(ours), id, key);
    const other = await counted(open(theirs), id, key);
    await session.addItems([message('one'), message('two')]);
    await session.getItems();
    // The first question began to listen; from then on the database is asked until it is known to announce.
    await eventually(settled);
    asked();
    for (let read = 0; read < 5; read++) expect(await session.getItems()).toHaveLength(2);
    expect(asked()).toBe(0);

    const before = source.known();
    await other.session.addItems([message('three')]);
    await eventually(() => source.known() !== before);
    expect(await session.getItems()).toHaveLength(3);
    await eventually(settled);
    const after = source.known();
    await other.session.popItem();
    await eventually(() => source.known() !== after);
    expect(await session.getItems()).toHaveLength(2);
    await session.getItems();
    asked();
    expect(await session.getItems()).toHaveLength(2);
    expect(asked()).toBe(0);
  });

  test('queries once after its own append: an announcement may be older than the append', async () => {
    const id = uniqueName('push');
    const { session, source, settled, asked } = await counted(open(ours), id, key);
    await session.addItems([message('one')]);
    await eventually(settled);
    const before = source.known();
    await session.addItems([message('own')]);
    await eventually(() => source.known() !== before);
    asked();
    expect(await session.getItems()).toHaveLength(2);
    expect(asked()).toBe(1);
    await session.getItems();
    asked();
    await session.getItems();
    expect(asked()).toBe(0);
  });
}

const redis = await announce('Redis', 'openRedis, push');
describe.skipIf(redis.absent)('openRedis with push', () => {
  const prefix = uniqueName('push');
  const ours = (): Store<StoreSession> => openRedis(redis.url, { prefix, push: true });
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  suite(ours, () => openRedis(redis.url, { prefix }));

  test('queries again when the listening connection is cut, and sees changes made meanwhile', async () => {
    const id = `${uniqueName('push')} {with} : signs %`;
    const key = generateKey();
    await using store = ours();
    await using foreign = openRedis(redis.url, { prefix });
    const { session, source, settled, asked } = await counted(store, id, key);
    await session.addItems([message('one')]);
    await eventually(settled);
    const admin = createClient({ url: redis.url });
    await admin.connect();
    const clients = (await admin.sendCommand<string>(['CLIENT', 'LIST'])).split('\n');
    // Connections in broadcasting mode; others of this machine listen again just the same.
    for (const line of clients.filter((each) => / flags=[^ ]*B/.test(each))) {
      await admin.sendCommand(['CLIENT', 'KILL', 'ID', /\bid=(\d+)/.exec(line)?.[1] as string]);
    }
    await admin.close();
    await eventually(() => source.known() === undefined);
    await (await counted(foreign, id, key)).session.addItems([message('meanwhile')]);
    asked();
    expect(await session.getItems()).toHaveLength(2);
    expect(asked()).toBeGreaterThan(0);
    await eventually(settled);
    asked();
    expect(await session.getItems()).toHaveLength(2);
    expect(asked()).toBe(0);
  });

  test.each(['cut', 'silent', 'cut while it connects'])(
    'leaves no connection behind, neither when they are lost (%s) nor after close()',
    async (loss) => {
      const proxy = await startProxy(redis.url);
      const store = openRedis(proxy.url, { prefix, push: true, timeout: '1s' });
      const { session, settled } = await counted(store, uniqueName('push'), generateKey());
      await eventually(settled);
      for (let times = 0; times < LOSSES; times++) {
        if (loss === 'silent') proxy.silence();
        if (loss === 'cut while it connects') proxy.hang();
        proxy.cut();
        await session.getItems().catch(() => undefined);
        proxy.resume();
        await eventually(() => settled().catch(() => false));
      }
      await eventually(() => proxy.open() === 2);
      proxy.hang();
      proxy.cut();
      const reading = session.getItems().catch(() => undefined);
      await store.close();
      proxy.resume();
      await reading;
      await eventually(() => proxy.open() === 0);
      expect(proxy.open()).toBe(0);
      await proxy.close();
    },
  );

  test("leaves no connection open beside an application's client that reconnects", async () => {
    const proxy = await startProxy(redis.url);
    const client = createClient({ url: proxy.url, socket: { reconnectStrategy: 20 } });
    client.on('error', () => undefined);
    await client.connect();
    const store = openRedis({ client }, { prefix, push: true, timeout: '5s' });
    const { settled } = await counted(store, uniqueName('push'), generateKey());
    await eventually(settled);
    for (let times = 0; times < 4; times++) {
      proxy.cut();
      await eventually(() => settled().catch(() => false));
    }
    await eventually(() => proxy.open() === 2);
    await store.close();
    await eventually(() => proxy.open() === 1);
    expect(proxy.open()).toBe(1);
    client.destroy();
    await proxy.close();
  });

  test('ignores foreign keys among the keys of sessions', async () => {
    const id = uniqueName('push');
    await using store = ours();
    const { session, source, settled } = await counted(store, id, generateKey());
    await session.addItems([message('one')]);
    await eventually(settled);
    const client = createClient({ url: redis.url });
    await client.connect();
    for (const key of ['{%}:items:a', '{%zz}:items', '{', '{}:items', '{\n}:items:']) {
      await client.set(`${prefix}:${key}`, 'something', { PX: 60_000 });
    }
    // As somebody else would, to make readers believe something: they look.
    await client.set(`${prefix}:{${id}}:items:forged`, 'something', { PX: 60_000 });
    await client.close();
    await eventually(() => source.known() === undefined);
    expect(await session.getItems()).toEqual([message('one')]);
  });

  test('listens on a client of redis, and refuses one of ioredis', async () => {
    const client = createClient({ url: redis.url });
    await client.connect();
    const own = openRedis({ client }, { prefix, push: true });
    const { settled } = await counted(own, uniqueName('push'), generateKey());
    await eventually(settled);
    await own.close();
    await client.close();
    const other = new Redis(redis.url, { lazyConnect: true });
    expect(() => openRedis({ client: other }, { push: true })).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message:
          'openRedis: push needs one server, given as a URL or a client of createClient of redis: ioredis does not pass invalidation messages on, and each node of a cluster sends only its own.',
      }) as Error,
    );
    other.disconnect();
  });
});

const postgres = await announce('PostgreSQL', 'openPostgres, push');
describe.skipIf(postgres.absent)('openPostgres with push', () => {
  const schema = uniqueName('push');
  const ours = (): Store<StoreSession> => openPostgres(postgres.url, { schema, push: true });
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  suite(ours, () => openPostgres(postgres.url, { schema }));

  test('queries again while the listening connection is cut, and sees changes made meanwhile', async () => {
    const id = uniqueName('push');
    const key = generateKey();
    await using store = ours();
    await using foreign = openPostgres(postgres.url, { schema });
    const { session, source, settled, asked } = await counted(store, id, key);
    await session.addItems([message('one')]);
    await eventually(settled);
    const admin = new Client(postgres.url);
    await admin.connect();
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'strongroom' AND query LIKE 'LISTEN%'`,
    );
    await admin.end();
    await eventually(() => source.known() === undefined);
    await (await counted(foreign, id, key)).session.addItems([message('meanwhile')]);
    asked();
    expect(await session.getItems()).toHaveLength(2);
    expect(asked()).toBeGreaterThan(0);
    await eventually(settled);
    asked();
    expect(await session.getItems()).toHaveLength(2);
    expect(asked()).toBe(0);
  });

  test('says that the trigger is missing, and queries the database each time', async () => {
    const own = uniqueName('push');
    await using admin = openPostgres(postgres.url, { schema: own });
    await admin.ping();
    const warnings: string[] = [];
    const listener = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', listener);
    try {
      await using store = openPostgres(postgres.url, { schema: own, createTables: false, push: true });
      const { session, asked } = await counted(store, 'a', generateKey());
      await session.addItems([message('one')]);
      await session.getItems();
      await eventually(() => warnings.length > 0);
      expect(warnings[0]).toMatch(
        'openPostgres: push: changes are not announced at present (openPostgres: the trigger that announces changes ' +
          'is missing. Let the store create its tables, or run postgresSetup({ push: true }).). Until they are, each cached ' +
          'read queries the database.',
      );
      asked();
      await session.getItems();
      await session.getItems();
      expect(asked()).toBe(2);
      // By hand, as the message says.
      const client = new Client(postgres.url);
      await client.connect();
      for (const statement of postgresSetup({ schema: own, push: true }).slice(-2))
        await client.query(statement);
      await client.end();
      await eventually(async () => {
        await session.getItems();
        asked();
        await session.getItems();
        return asked() === 0;
      });
    } finally {
      process.off('warning', listener);
      await dropPostgresSchema(postgres.url, own);
    }
  });

  describe('to a role that may do nothing but connect', () => {
    const role = uniqueName('low');
    let low: Client;
    let admin: Client;
    const heard: string[] = [];
    beforeAll(async () => {
      admin = new Client(postgres.url);
      await admin.connect();
      await admin.query(`CREATE ROLE ${role} LOGIN`);
      const url = new URL(postgres.url);
      url.username = role;
      low = new Client(url.href);
      await low.connect();
      low.on('notification', ({ payload }) => heard.push(payload ?? ''));
    });
    afterAll(async () => {
      await low.end();
      await admin.query(`DROP ROLE ${role}`);
      await admin.end();
    });
    /** What the trigger says, as a role hears it that may read the secret. */
    const channelOf = async (): Promise<string> => {
      const { rows } = await admin.query<{ channel: string }>(
        `SELECT 'strongroom_' || left(encode(sha256(secret || 'channel'::bytea), 'hex'), 40) AS channel
         FROM ${schema}.strongroom_announce_key`,
      );
      return rows[0]?.channel as string;
    };

    test('reveals neither the channel nor the content of announcements', async () => {
      await using store = ours();
      const id = uniqueName('push');
      const { session, settled } = await counted(store, id, generateKey());
      await session.addItems([message('one')]);
      await eventually(settled);
      await expect(low.query(`SELECT * FROM ${schema}.strongroom_announce_key`)).rejects.toMatchObject({
        code: '42501',
      });
      const { rows } = await admin.query<{ oid: string }>(
        `SELECT '${schema}.strongroom_sessions'::regclass::oid::text AS oid`,
      );
      // Where it was announced once; and then, as if somebody had betrayed it, where it is announced.
      await low.query(`LISTEN "strongroom_${rows[0]?.oid}"`);
      await low.query('LISTEN strongroom');
      await session.addItems([message('two')]);
      await low.query('SELECT 1');
      expect(heard).toEqual([]);
      await low.query(`LISTEN "${await channelOf()}"`);
      await session.addItems([message('three')]);
      await eventually(() => heard.length > 0);
      await low.query('UNLISTEN *');
      for (const payload of heard) expect(payload).toMatch(/^(?:[0-9a-f]{64}|![\w-]{22})$/);
    });

    test('attack 18: does no harm by forged or repeated announcements', async () => {
      await using store = ours();
      await using other = openPostgres(postgres.url, { schema });
      const id = uniqueName('push');
      const key = generateKey();
      const { session, source, settled } = await counted(store, id, key);
      const foreign = await counted(other, id, key);
      await session.addItems([message('one')]);
      await eventually(settled);
      heard.splice(0);
      const channel = await channelOf();
      await low.query(`LISTEN "${channel}"`);
      await session.addItems([message('two')]);
      await eventually(() => heard.some((payload) => !payload.startsWith('!')));
      await eventually(settled);
      const replayed = heard.splice(0);
      await foreign.session.clearSession();
      const forged = [id, `1 1 ${id}`, '', '!', `!${'a'.repeat(22)}`, '{}', '\u0001', 'f'.repeat(64)];
      for (const payload of [...replayed, ...forged]) {
        await low.query('SELECT pg_notify($1, $2)', [channel, payload]);
      }
      await low.query('UNLISTEN *');
      await eventually(async () => {
        await low.query('SELECT 1');
        return source.known() === undefined || (await session.getItems()).length === 0;
      });
      expect(await session.getItems()).toEqual([]);
      await eventually(settled);
      expect(await session.getItems()).toEqual([]);
    });

    test('cannot attach the trigger function to its own table', async () => {
      await low.query('CREATE TEMPORARY TABLE mine (id text, next_seq bigint, generation bigint)');
      await expect(
        low.query(
          `CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION ${schema}.strongroom_announce()`,
        ),
      ).rejects.toMatchObject({ code: '42501' });
    });
  });

  test('trusts no announcements soon after the secret changed or the trigger was dropped', async () => {
    const silenced = async (sql: (schema: string) => string): Promise<AgentInputItem[]> => {
      const own = uniqueName('push');
      const admin = new Client(postgres.url);
      await admin.connect();
      try {
        await using store = openPostgres(postgres.url, { schema: own, push: true });
        const { session, source, settled } = await counted(store, 'a', generateKey());
        await session.addItems([message('one')]);
        await eventually(settled);
        await admin.query(sql(own));
        // Within the time after which a channel is checked, and the patience with its answer.
        await eventually(() => source.known() === undefined);
        return await session.getItems();
      } finally {
        await admin.end();
        await dropPostgresSchema(postgres.url, own);
      }
    };
    const histories = await Promise.all([
      silenced((own) => `UPDATE ${own}.strongroom_announce_key SET secret = sha256(secret)`),
      silenced((own) => `DROP TRIGGER strongroom_announce ON ${own}.strongroom_sessions`),
    ]);
    expect(histories).toEqual([[message('one')], [message('one')]]);
  }, 30_000);

  test('announces changes of writers that may not read the secret', async () => {
    const role = uniqueName('writer');
    const admin = new Client(postgres.url);
    await admin.connect();
    const url = new URL(postgres.url);
    url.username = role;
    const id = uniqueName('push');
    const key = generateKey();
    await using store = ours();
    const { session, source, settled } = await counted(store, id, key);
    await session.addItems([message('one')]);
    await admin.query(`CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT ALL ON ${['schema', 'sessions', 'items', 'shares', 'operations', 'deks', 'holds', 'leases'].map((name) => `${schema}.strongroom_${name}`).join()} TO ${role}`);
    try {
      await using writer = openPostgres(url.href, { schema, createTables: false });
      await eventually(settled);
      await (await counted(writer, id, key)).session.addItems([message('two')]);
      await eventually(() => source.known() === undefined);
      expect(await session.getItems()).toHaveLength(2);
    } finally {
      await admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await admin.end();
    }
  });

  test('announces no session names any more in a database of the previous version', async () => {
    const own = uniqueName('push');
    await restorePostgres('v2', postgres.url, own);
    const admin = new Client(postgres.url);
    await admin.connect();
    try {
      const { rows } = await admin.query<{ oid: string }>(
        `SELECT '${own}.strongroom_sessions'::regclass::oid::text AS oid`,
      );
      const heard: string[] = [];
      admin.on('notification', ({ payload }) => heard.push(payload ?? ''));
      await admin.query(`LISTEN "strongroom_${rows[0]?.oid}"`);
      await using plain = openPostgres(postgres.url, { schema: own });
      await plain.session('plain').addItems([message('more')]);
      await using store = openPostgres(postgres.url, { schema: own, push: true });
      const session = store.session('plain');
      // It listens where the trigger of before now announces.
      await eventually(async () => {
        await session[VERSION].read();
        return session[VERSION].known() !== undefined;
      });
      await session.addItems([message('more')]);
      await eventually(() => session[VERSION].known() === undefined);
      expect(heard).toEqual([]);
    } finally {
      await admin.end();
      await dropPostgresSchema(postgres.url, own);
    }
  });

  const without = withoutPooler('openPostgres with push, behind a pooler');
  test.skipIf(without)(
    'trusts no connection that accepts LISTEN and delivers nothing, like those of a pooler',
    async () => {
      const pooler = await startPooler(postgres.url);
      const warnings: string[] = [];
      const listener = (warning: Error): void => void warnings.push(warning.message);
      process.on('warning', listener);
      try {
        await using store = openPostgres(pooler.url, { schema, push: true });
        const { session, source, asked } = await counted(store, uniqueName('push'), generateKey());
        await session.addItems([message('one')]);
        await session.getItems();
        await eventually(() => warnings.length > 0);
        expect(warnings[0]).toContain('changes are not announced at present (No answer in 5000 ms.)');
        expect(source.known()).toBeUndefined();
        asked();
        await session.getItems();
        expect(asked()).toBe(1);
      } finally {
        process.off('warning', listener);
        await pooler.close();
      }
    },
  );

  test("refuses a push that is not a boolean, and an application's pool with one connection only", () => {
    const pool = new Pool({ connectionString: postgres.url, max: 1 });
    expect(() => openPostgres({ pool }, { push: true })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message:
          'openPostgres: push keeps one connection of the pool to listen, and this pool has only one. Raise its max.',
      }) as Error,
    );
    expect(() => openPostgres(postgres.url, { push: 1 as never })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: 'openPostgres: push must be true or false, got a positive number.',
      }) as Error,
    );
  });
});

describe('openPostgres with push on PGlite', () => {
  let pool: PGlite;
  beforeAll(async () => {
    pool = await emptyPGlite();
  });
  afterAll(() => pool.close());
  test('queries nothing while nothing changes', async () => {
    await using store = openPostgres({ pool }, { push: true });
    await using other = openPostgres({ pool });
    const key = generateKey();
    const { session, source, settled, asked } = await counted(store, 'a', key);
    await session.addItems([message('one')]);
    await eventually(settled);
    asked();
    await session.getItems();
    expect(asked()).toBe(0);
    await (await counted(other, 'a', key)).session.addItems([message('two')]);
    await eventually(() => source.known() === undefined);
    expect(await session.getItems()).toHaveLength(2);
  });
});
