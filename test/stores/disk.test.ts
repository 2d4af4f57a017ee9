import { copyFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInputItem } from '@openai/agents';
import { createConnection } from 'mysql2/promise';
import { Client, type DatabaseError } from 'pg';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { shred } from '../../src/operations/shred.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { openStore } from './open-store.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { uniqueName } from './servers.ts';
import { smallDisk, withoutMount, type SmallDisk } from './small-disk.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** Long, and still stored within its row by every database. */
const LONG = 'x'.repeat(4_000);

/** Appends until the store refuses. What it acknowledged is put into `acknowledged`. */
async function fillUp(
  session: StoreSession,
  acknowledged: AgentInputItem[],
  text = LONG,
): Promise<{ readonly error?: unknown; readonly refused: AgentInputItem[] }> {
  for (let number = 0; number < 10_000; number++) {
    const items = [message(`${number} ${text}`), message(`${number} end`)];
    try {
      await session.addItems(items);
    } catch (error) {
      return { error, refused: items };
    }
    acknowledged.push(...items);
  }
  return { refused: [] };
}

/** Appends until the store takes it again, as long as it says that nothing was written. */
async function insist(session: StoreSession, item: AgentInputItem): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await session.addItems([item]);
      return;
    } catch (error) {
      if (attempt === 100 || !(error as Error).message.includes('Nothing was written.')) throw error;
      await delay(100);
    }
  }
}

const noMount = withoutMount('full and read-only disks');

describe.skipIf(noMount)('openSqlite on a separate disk', () => {
  let disk: SmallDisk;
  beforeAll(() => {
    disk = smallDisk(6);
  });
  afterAll(() => disk.destroy());

  test('says that the disk is full, keeps acknowledged items, and writes when there is space', async () => {
    const path = `${disk.folder}/full.db`;
    const store = openSqlite(path);
    const session = store.session('a');
    const acknowledged = [message('before')];
    await session.addItems(acknowledged);
    disk.fill();
    expect((await fillUp(session, acknowledged)).error).toMatchObject({
      code: 'ERR_STORE',
      message: 'openSqlite: the disk is full. Nothing was written. See the cause.',
    });
    expect(await session.getItems()).toEqual(acknowledged);
    await using other = openSqlite(`${disk.folder}/new.db`);
    await expect(other.session('a').addItems([message('x')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/^openSqlite: the disk is full\./) as string,
    });
    disk.free();
    acknowledged.push(message('after'));
    await session.addItems([message('after')]);
    await other.session('a').addItems([message('x')]);
    await store.close();
    await using again = openSqlite(path);
    expect(await again.session('a').getItems()).toEqual(acknowledged);
  });

  /** Sessions with items that expire in a day, in the file and not in the log; the disk is full then. */
  async function filled(name: string) {
    const clock = fakeClock(Date.now());
    const path = `${disk.folder}/${name}.db`;
    const store = openSqlite(path, { clock });
    const layers = [expire({ after: '1d', clock }), encrypt({ keys: fixedKeyring('disk') })];
    const wrapped = wrapStore(store, layers);
    const items = Array.from({ length: 60 }, (_, n) => message(`${n} ${'x'.repeat(1_500)}`));
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      for (const item of items) await wrapped.session(id).addItems([item]);
      // In between, so that the log stays small.
      const other = new DatabaseSync(path);
      other.exec('PRAGMA wal_checkpoint(PASSIVE)');
      other.close();
    }
    disk.fill();
    return { clock, store, wrapped };
  }

  const refused = {
    code: 'ERR_STORE',
    message:
      'openSqlite: the disk is full, and a deletion needs space in the log before it frees any: free some disk space, ' +
      'or delete fewer records at once (batch of purgeExpired). Nothing was written. See the cause.',
  };

  test('deletes while the disk is full, in the space of the log', async () => {
    const { clock, store, wrapped } = await filled('deletes');
    expect(await wrapped.session('a').popItem()).toMatchObject({ role: 'user' });
    await store.session('a').clearSession();
    await shred(wrapped.session('b'), { reason: 'asked for' });
    await store.deleteSession('c');
    clock.advance('2d');
    // More than the log has room for; it begins anew in between.
    expect(await store.purgeExpired({ batch: 5 })).toEqual({ items: 120, sessions: 2 });
    const left: string[] = [];
    for await (const { id } of store.sessions()) left.push(id);
    expect(left).toEqual([]);
    await expect(wrapped.session('b').addItems([message('new')])).resolves.toBeUndefined();
    await store.close();
    disk.free();
  });

  test('says why it cannot when the log has no space, deletes nothing, and deletes when there is some', async () => {
    const { clock, store, wrapped } = await filled('refuses');
    // The log takes what is appended, until there is no room for that: nothing of it fits into the file.
    // Nor does a short one: the destruction of a key writes no more.
    for (const text of [LONG, 'x']) {
      for (let full = false; !full;) {
        full = await store
          .session('z')
          .addItems([message(text)])
          .then(
            () => false,
            () => true,
          );
      }
    }
    clock.advance('2d');
    const before = await store.session('a').getItems();
    await expect(store.deleteSession('a')).rejects.toMatchObject(refused);
    await expect(store.session('a').clearSession()).rejects.toMatchObject(refused);
    await expect(store.purgeExpired()).rejects.toMatchObject(refused);
    await expect(shred(wrapped.session('a'))).rejects.toMatchObject(refused);
    await expect(store.session('a').addItems([message(LONG)])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: 'openSqlite: the disk is full. Nothing was written. See the cause.',
    });
    expect(await store.session('a').getItems()).toEqual(before);
    disk.free();
    await store.deleteSession('a');
    expect(await store.session('a').getItems()).toEqual([]);
    await store.close();
  });

  test('reads nothing from a read-only disk, says what to do, and that works', async () => {
    const path = `${disk.folder}/unreadable.db`;
    const store = openSqlite(path);
    await store.session('a').addItems([message('before')]);
    await store.close();
    disk.setReadOnly(true);
    await using readOnly = openSqlite(path);
    await using missing = openSqlite(`${disk.folder}/missing.db`);
    const session = readOnly.session('a');
    for (const call of [
      () => session.getItems(),
      () => readOnly.sessions()[Symbol.asyncIterator]().next(),
      () => readOnly.ping(),
      () => session.addItems([message('never')]),
      () => session.popItem(),
      () => readOnly.deleteSession('a'),
      () => readOnly.purgeExpired(),
      () => missing.session('a').getItems(),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(
          /^openSqlite: the database is read-only\. SQLite cannot read it either, because it writes its log next to the file: copy the file to a folder that this process may write to\./,
        ) as string,
      });
    }
    const copy = join(tmpdir(), `${uniqueName('copy')}.db`);
    copyFileSync(path, copy);
    const copied = openSqlite(copy);
    expect(await copied.session('a').getItems()).toEqual([message('before')]);
    await copied.close();
    rmSync(copy);
    disk.setReadOnly(false);
    expect(await session.getItems()).toEqual([message('before')]);
  });

  test('says that the disk is read-only, and writes when it is no longer read-only', async () => {
    const path = `${disk.folder}/read-only.db`;
    const store = openSqlite(path);
    await store.session('a').addItems([message('before')]);
    await store.close();
    disk.setReadOnly(true);
    await using readOnly = openSqlite(path);
    const session = readOnly.session('a');
    await expect(session.addItems([message('never')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/^openSqlite: the database is read-only\./) as string,
    });
    disk.setReadOnly(false);
    await session.addItems([message('after')]);
    expect(await session.getItems()).toEqual([message('before'), message('after')]);
  });
});

const SIZES = { PostgreSQL: 160, MariaDB: 96, Redis: 16 };
const SETTINGS = {
  PostgreSQL: ['-c', 'max_wal_size=32MB', '-c', 'min_wal_size=32MB'],
  MariaDB: [],
  Redis: ['--appendfsync', 'everysec'],
};

/** What an administrator does, in the server's own words. */
const READ_ONLY = {
  async PostgreSQL(url: string, readOnly: boolean): Promise<void> {
    const admin = new Client(url);
    await admin.connect();
    await admin.query(`ALTER SYSTEM SET default_transaction_read_only = ${readOnly ? 'on' : 'off'}`);
    await admin.query('SELECT pg_reload_conf()');
    await admin.end();
    await delay(200);
  },
  async MariaDB(url: string, readOnly: boolean): Promise<void> {
    const admin = await createConnection(url);
    await admin.query("CREATE USER IF NOT EXISTS app@'127.0.0.1'");
    await admin.query("GRANT ALL ON test.* TO app@'127.0.0.1'");
    await admin.query(`SET GLOBAL read_only = ${readOnly ? 1 : 0}`);
    await admin.end();
  },
  async Redis(url: string, readOnly: boolean): Promise<void> {
    const admin = createClient({ url });
    await admin.connect();
    await admin.sendCommand(['REPLICAOF', ...(readOnly ? ['127.0.0.1', '1'] : ['NO', 'ONE'])]);
    await admin.close();
  },
};

/** How a full disk ends each server. What items to write then. */
const ENDS_ITSELF = {
  async PostgreSQL(url: string, fill: () => void): Promise<string> {
    const admin = new Client(url);
    admin.on('error', () => undefined);
    await admin.connect();
    fill();
    // No room for the next segment of its log. One that was kept for later is used first.
    for (let ended = false; !ended;) {
      ended = await admin.query("SELECT pg_logical_emit_message(false, 'a', 'b'), pg_switch_wal()").then(
        () => false,
        // Under load it sometimes answers that the disk is full, and goes on.
        (error: DatabaseError) => error.severity !== 'ERROR',
      );
    }
    await admin.end();
    return LONG;
  },
  /** 10.11 aborts itself when it cannot undo an item that has pages of its own. */
  MariaDB(_url: string, fill: () => void): Promise<string> {
    fill();
    return Promise.resolve(LONG.repeat(5));
  },
  /** It would have to acknowledge what it cannot write. */
  async Redis(url: string, fill: () => void): Promise<string> {
    const admin = createClient({ url });
    await admin.connect();
    await admin.configSet('appendfsync', 'always');
    await admin.close();
    fill();
    return LONG;
  },
};

describe.each(['PostgreSQL', 'MariaDB', 'Redis'] as const)('%s on a disk of its own', (name) => {
  const absent = noMount || withoutBinaries(name, `${name} on a full disk`);
  let disk: SmallDisk;
  let server: OwnServer;
  beforeAll(async () => {
    if (absent) return;
    disk = smallDisk(SIZES[name]);
    server = await ownServer(name, { folder: disk.folder, settings: SETTINGS[name] });
    await server.start();
  }, 120_000);
  afterAll(async () => {
    if (absent) return;
    await server.destroy();
    disk.destroy();
  });

  test.skipIf(absent)(
    'says that the disk is full, keeps acknowledged items, and writes when there is space',
    async () => {
      await using store = openStore(server.url, 'full');
      const session = store.session('a');
      // MariaDB answers for a table that has its first megabytes; with a smaller one it aborts itself (below).
      const acknowledged = Array.from({ length: 150 }, (_, number) => message(`before ${number} ${LONG}`));
      await session.addItems(acknowledged);
      disk.fill();
      expect((await fillUp(session, acknowledged)).error).toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(
          /: the disk of the database is full\. Nothing was written\. See the cause\.$/,
        ) as string,
      });
      expect(await session.getItems()).toEqual(acknowledged);
      disk.free();
      await insist(session, message('after'));
      acknowledged.push(message('after'));
      expect(await session.getItems()).toEqual(acknowledged);
      await server.kill('SIGTERM');
      await server.start();
      expect(await session.getItems()).toEqual(acknowledged);
    },
  );

  test.skipIf(absent)(
    'says that the database is read-only, still reads, and writes when it is no longer read-only',
    async () => {
      await READ_ONLY[name](server.url, false);
      const url = server.url.replace('//root@', '//app@');
      await using store = openStore(url, 'read_only');
      const session = store.session('a');
      await session.addItems([message('before')]);
      await READ_ONLY[name](server.url, true);
      const refused = {
        code: 'ERR_STORE',
        message: expect.stringMatching(
          /: the database is (read-only|a read-only replica)\. Nothing was written\. See the cause\.$/,
        ) as string,
      };
      await expect(session.addItems([message('never')])).rejects.toMatchObject(refused);
      await expect(session.popItem()).rejects.toMatchObject(refused);
      await expect(store.deleteSession('a')).rejects.toMatchObject(refused);
      await using other = openStore(url, 'read_only');
      expect(await other.session('a').getItems()).toEqual([message('before')]);
      await READ_ONLY[name](server.url, false);
      await session.addItems([message('after')]);
      expect(await other.session('a').getItems()).toEqual([message('before'), message('after')]);
    },
  );

  test.skipIf(absent)(
    'loses nothing when the full disk stops the server, and keeps no partial call',
    async () => {
      const store = openStore(server.url, 'ended');
      const session = store.session('a');
      const acknowledged = [message('before')];
      await session.addItems(acknowledged);
      const text = await ENDS_ITSELF[name](server.url, () => disk.fill());
      const { error, refused } = await fillUp(session, acknowledged, text);
      expect(error).toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(
          /: the connection to the database failed\. (Nothing was written|The call may have been committed: read the history before you repeat it)\. See the cause\.$/,
        ) as string,
      });
      disk.free();
      await server.kill('SIGKILL');
      await server.start();
      const items = await session.getItems();
      expect([acknowledged, [...acknowledged, ...refused]]).toContainEqual(items);
      await session.addItems([message('after')]);
      expect(await session.getItems()).toEqual([...items, message('after')]);
      await store.close();
    },
  );

  if (name !== 'Redis') return;
  test.skipIf(absent)('says that the memory is full, and still deletes to free space', async () => {
    const admin = createClient({ url: server.url });
    await admin.connect();
    await using store = openStore(server.url, 'memory');
    const [session, other] = [store.session('a'), store.session('b')];
    await other.addItems(Array.from({ length: 150 }, (_, number) => message(`${number} ${LONG}`)));
    const used = /used_memory:(\d+)/.exec(await admin.info('memory'))?.[1] ?? '';
    await admin.configSet({ maxmemory: String(Number(used) + 300_000), 'maxmemory-policy': 'noeviction' });
    const acknowledged: AgentInputItem[] = [];
    expect((await fillUp(session, acknowledged)).error).toMatchObject({
      code: 'ERR_STORE',
      message: 'openRedis: the memory of the database is full. Nothing was written. See the cause.',
    });
    expect(await session.getItems()).toEqual(acknowledged);
    await store.deleteSession('b');
    await session.addItems([message('after')]);
    expect(await session.getItems()).toEqual([...acknowledged, message('after')]);
    await admin.configSet('maxmemory', '0');
    await admin.close();
  });
});
