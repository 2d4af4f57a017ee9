import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { AgentInputItem } from '@openai/agents';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { openStore } from './open-store.ts';
import { canary, ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import type { ServerName } from './servers.ts';

// What docs/deletion.md says, seen in the files. The stores are without layers: sealed items would show no canary.

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** The files that hold `text`, by their paths in the folder. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text))
    .map((path) => relative(folder, path))
    .sort();
}

/** The secret in texts, in an id and in a subject; in short items and in long ones, which databases keep apart. */
async function write(store: Store<StoreSession>, secret: string): Promise<void> {
  // Hardly to be compressed, so that the secret stays in one piece.
  const long = `${secret} ${randomBytes(8_000).toString('base64')} ${secret}`;
  const items = [message(secret), message(long)];
  for (let number = 0; number < 10; number++) {
    await store.session(`${secret} ${number}`, { subject: `${secret} person` }).addItems(items);
  }
  await store.session('purged').addItems(items);
  await store.session('compacted').addItems(items);
  await store.session('popped').addItems(items);
}

async function erase(store: Store<StoreSession>, secret: string): Promise<void> {
  for (let number = 0; number < 10; number++) await store.deleteSession(`${secret} ${number}`);
  await store.session('compacted').replaceHistoryWithCompaction([message('short')]);
  await store.session('popped').popItem();
  await store.session('popped').popItem();
  expect(await store.purgeExpired({ after: 1 })).toEqual({ items: 3, sessions: 2 });
  await store.session('kept').addItems([message('kept')]);
}

/** The test of one database: `prove` makes it forget, and says where it still remembers. */
function deletion(
  name: ServerName,
  settings: readonly string[],
  prove: (server: OwnServer, erased: () => Promise<void>, found: () => string[]) => Promise<void>,
): void {
  const absent = withoutBinaries(name, `what ${name} keeps of what was deleted`);
  describe(`Data that ${name} keeps after a deletion`, () => {
    let server: OwnServer;
    beforeAll(async () => {
      if (absent) return;
      server = await ownServer(name, { settings });
      await server.start();
    }, 120_000);
    afterAll(async () => {
      if (!absent) await server.destroy();
    });

    test.skipIf(absent)(
      'is in files that docs/deletion.md names, until the commands there were run',
      async () => {
        const secret = canary();
        await using store = openStore(server.url, 'deletion');
        await write(store, secret);
        await prove(
          server,
          () => erase(store, secret),
          () => filesWith(server.folder, secret),
        );
        expect(await store.session('kept').getItems()).toEqual([message('kept')]);
      },
    );
  });
}

async function postgresForgets(
  server: OwnServer,
  erased: () => Promise<void>,
  found: () => string[],
): Promise<void> {
  const admin = new Client(server.url);
  await admin.connect();
  const tables = expect.stringMatching(/^data\/base\//) as string;
  const log = expect.stringMatching(/^data\/pg_wal\/[0-9A-F]{24}$/) as string;
  await admin.query('CHECKPOINT');
  expect(found()).toEqual(expect.arrayContaining([tables, log]));
  await erased();
  // An ordinary vacuum frees the space, and leaves what is in it until something else is written there.
  await admin.query('VACUUM');
  await admin.query('CHECKPOINT');
  expect(found()).toEqual(expect.arrayContaining([tables, log]));
  await admin.query('VACUUM FULL');
  await admin.query('CHECKPOINT');
  expect(found()).toEqual([log]);
  // The log's segments are renamed and used again, as they are, unless they are to be removed.
  await admin.query('ALTER SYSTEM SET wal_recycle = off');
  await admin.query('SELECT pg_reload_conf()');
  await vi.waitFor(async () => {
    await admin.query("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()");
    await admin.query('CHECKPOINT');
    expect(found()).toEqual([]);
  }, 20_000);
  await admin.end();
}

async function mariadbForgets(
  server: OwnServer,
  erased: () => Promise<void>,
  found: () => string[],
): Promise<void> {
  const admin = await createConnection(server.url);
  const table = 'data/test/deletion_items.ibd';
  await admin.query('FLUSH TABLES deletion_items, deletion_sessions FOR EXPORT');
  await admin.query('UNLOCK TABLES');
  expect(found()).toEqual(expect.arrayContaining(['data/binlog.000001', 'data/ib_logfile0', table]));
  await erased();
  expect(found()).toEqual(expect.arrayContaining(['data/binlog.000001', 'data/ib_logfile0', table]));
  await admin.query('SET GLOBAL innodb_max_purge_lag_wait = 0');
  for (const name of ['sessions', 'items', 'operations', 'deks']) {
    await admin.query(`OPTIMIZE TABLE deletion_${name}`);
  }
  expect(found()).toEqual(expect.arrayContaining(['data/binlog.000001', 'data/ib_logfile0']));
  expect(found()).not.toContain(table);
  await admin.query('FLUSH BINARY LOGS');
  // Another size makes it another file.
  await admin.query('SET GLOBAL innodb_log_file_size = 20971520');
  await vi.waitFor(async () => {
    // Refused without a word as long as a recovery after a crash would need the old one.
    await admin.query("PURGE BINARY LOGS TO 'binlog.000002'");
    expect(found()).toEqual([]);
  }, 60_000);
  await admin.end();
}

async function redisForgets(
  server: OwnServer,
  erased: () => Promise<void>,
  found: () => string[],
): Promise<void> {
  const admin = createClient({ url: server.url });
  admin.on('error', () => undefined);
  await admin.connect();
  const log = 'appendonlydir/appendonly.aof.1.incr.aof';
  await admin.sendCommand(['SAVE']);
  expect(found()).toEqual([log, 'dump.rdb']);
  await erased();
  for await (const keys of admin.scanIterator()) {
    expect(
      keys.filter(
        (key) => !/^deletion:(\{kept\}:(items:[a-z0-9]+|meta)|\{popped\}:meta|births|ids|schema)$/.test(key),
      ),
    ).toEqual([]);
  }
  expect(found()).toEqual([log, 'dump.rdb']);
  await admin.sendCommand(['BGREWRITEAOF']);
  await vi.waitFor(() => expect(found()).toEqual(['dump.rdb']), 20_000);
  await admin.sendCommand(['SAVE']);
  expect(found()).toEqual([]);
  await admin.close();
}

deletion('PostgreSQL', [], postgresForgets);
deletion('MariaDB', ['--log-bin=binlog', '--innodb-immediate-scrub-data-uncompressed=ON'], mariadbForgets);
deletion('Redis', [], redisForgets);
