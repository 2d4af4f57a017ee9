import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { dropMysqlTables, dropPostgresSchema, deleteRedisKeys } from './cleaning.ts';
import { emptyPGliteFolder } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { announce, uniqueName, type ServerName } from './servers.ts';
import { bySession, contradiction, type Call } from './linear.ts';
import { startWriter, type Writer } from './writer.ts';
import { rounds } from '../support/soak.ts';

const KILLS = rounds(3, 200);
const RESTARTS = rounds(2, 20);
const PROCESSES = rounds(3, 8);
const SESSIONS = 50;
/** Milliseconds. */
const MIXED = rounds(400, 60_000);
/** How much more a process may keep in memory after the second half of its calls than after the first. */
const MOST_GROWTH = 8 * 1024 * 1024;
const TIMEOUT = rounds(120_000, 1_800_000);

async function textsOf(store: Store<StoreSession>, id: string): Promise<string[]> {
  return (await store.session(id).getItems()).map((item) => (item as { content: string }).content);
}

/** @param writers How many write at the same time. */
function crashes(target: () => string, name: () => string, writers = rounds(3, 5), kills = KILLS): void {
  test(
    'loses no acknowledged item when a writer is killed, and keeps no partial call and no lock',
    async () => {
      for (let round = 0; round < kills / writers; round++) {
        const names = Array.from({ length: writers }, (_, kill) => `w${round}-${kill}`);
        const processes = names.map((writer, index) =>
          startWriter(new URL('writer-process.ts', import.meta.url), [
            target(),
            name(),
            writer,
            (index + round * writers) % 5 === 0 ? 'mixed' : 'append',
          ]),
        );
        // One that writes already would keep the processors from those that still start.
        await Promise.all(processes.map((writer) => writer.said('ready')));
        for (const writer of processes) writer.tell('go');
        for (const writer of processes) {
          await writer.reached(1 + randomInt(30));
          writer.kill();
        }
        await Promise.all(processes.map((writer) => writer.ended));
        await using store = openStore(target(), name());
        const texts = await textsOf(store, 'shared');
        for (const [index, writer] of names.entries()) {
          const mine = texts.filter((text) => text.startsWith(`${writer} `));
          // Each call once, whole and in order. More than the acknowledged ones may have been stored: the last one, and
          // those whose acknowledgement was still on its way out of the process.
          const stored = mine.length / 2;
          const acknowledged = processes[index]?.lines() ?? [];
          expect(acknowledged).toEqual(acknowledged.map((_, call) => String(call)));
          expect(stored).toBeGreaterThanOrEqual(acknowledged.length);
          expect(mine).toEqual(
            Array.from({ length: stored }, (_, call) => [
              `${writer} ${call} 0`,
              `${writer} ${call} 1`,
            ]).flat(),
          );
        }
        // Whoever held a lock is dead.
        await store.session('shared').addItems([{ role: 'user', content: 'next' }]);
        await store.deleteSession('shared');
      }
    },
    TIMEOUT,
  );
}

describe('SQLite, when processes die', () => {
  const file = temporaryFolder();
  crashes(
    () => file('crash.db'),
    () => 'unused',
  );
});

describe('PGlite in a folder, when its process dies', () => {
  const folder = temporaryFolder()('database');
  beforeAll(() => emptyPGliteFolder(folder));
  crashes(
    () => `pglite:${folder}`,
    () => 'unused',
    // A folder is one process's at a time, and each of them starts a database.
    1,
    rounds(1, 200),
  );
});

const postgres = await announce('PostgreSQL', 'PostgreSQL, when processes die');
describe.skipIf(postgres.absent)('PostgreSQL, when processes die', () => {
  const name = uniqueName('crash');
  afterAll(() => dropPostgresSchema(postgres.url, name));
  crashes(
    () => postgres.url,
    () => name,
  );
});

const mariadb = await announce('MariaDB', 'MariaDB, when processes die');
describe.skipIf(mariadb.absent)('MariaDB, when processes die', () => {
  const name = uniqueName('crash');
  afterAll(() => dropMysqlTables(mariadb.url, `${name}_`));
  crashes(
    () => mariadb.url,
    () => name,
  );
});

const redis = await announce('Redis', 'Redis, when processes die');
describe.skipIf(redis.absent)('Redis, when processes die', () => {
  const name = uniqueName('crash');
  afterAll(() => deleteRedisKeys(redis.url, name));
  crashes(
    () => redis.url,
    () => name,
  );
});

/**
 * The call at which no order was found, and the file with all calls of its session: it happens once in many runs, and without
 * them nobody could say why.
 */
function refuted(history: readonly Call[]): { readonly call: Call; readonly file: string } | undefined {
  const file = join(tmpdir(), `${uniqueName('history')}.json`);
  const keep = (): void => writeFileSync(file, history.map((call) => JSON.stringify(call)).join('\n'));
  try {
    const call = contradiction(history);
    if (call === undefined) return undefined;
    keep();
    return { call, file };
  } catch (error) {
    keep();
    throw new Error(`${(error as Error).message} The calls are in ${file}.`, { cause: error });
  }
}

describe('Many processes on one database', () => {
  const file = temporaryFolder();
  const name = uniqueName('mixed');
  let processes: Writer[] = [];
  beforeAll(async () => {
    processes = Array.from({ length: PROCESSES }, () =>
      startWriter(new URL('mixed-process.ts', import.meta.url), []),
    );
    await Promise.all(processes.map((process) => process.said('ready')));
  });
  afterAll(async () => {
    for (const process of processes) process.kill();
    if (!postgres.absent) await dropPostgresSchema(postgres.url, name);
    if (!mariadb.absent) await dropMysqlTables(mariadb.url, `${name}_`);
    if (!redis.absent) await deleteRedisKeys(redis.url, name);
  });

  test.for([
    { server: 'SQLite', url: () => file('mixed.db'), absent: false },
    { server: 'PostgreSQL', url: () => postgres.url, absent: postgres.absent },
    { server: 'MariaDB', url: () => mariadb.url, absent: mariadb.absent },
    { server: 'Redis', url: () => redis.url, absent: redis.absent },
  ])(
    'see one linear history each session on $server, whatever they do, and keep no memory of it',
    { timeout: TIMEOUT },
    async ({ url, absent }, { skip }) => {
      if (absent) skip();
      for (const [number, process] of processes.entries()) {
        process.tell([url(), name, number, MIXED, SESSIONS].join(' '));
      }
      const calls: Call[] = [];
      for (const process of processes) {
        const lines = await process.said('grown');
        const { grown } = JSON.parse(lines.pop() ?? '') as { grown: number };
        expect(grown).toBeLessThan(MOST_GROWTH);
        for (const line of lines) calls.push(JSON.parse(line) as Call);
      }
      await using store = openStore(url(), name);
      // What is left at the end is one more thing that was seen.
      for (let number = 0; number < SESSIONS; number++) {
        const session = `mixed-${number}`;
        const items = await textsOf(store, session);
        calls.push({ session, began: Infinity, ended: Infinity, operation: { kind: 'read', items } });
        await store.deleteSession(session);
      }
      expect(new Set(calls.map(({ operation }) => operation.kind)).size).toBe(7);
      const histories = [...bySession(calls).values()];
      for (const history of histories) expect(refuted(history)).toBeUndefined();
    },
  );
});

/** Applies the operation until it is acknowledged: under its id it happens once, however often it is tried. */
async function insist(session: StoreSession, operationId: string, items: AgentInputItem[]): Promise<void> {
  for (let failures = 0; ; failures++) {
    try {
      await session.applyHistoryTransaction({ operationId, transaction: { type: 'append_items', items } });
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_STORE' || failures > 600) throw error;
      await delay(100);
    }
  }
}

describe.each<ServerName>(['PostgreSQL', 'MariaDB', 'Redis'])('%s, when the server is killed', (name) => {
  const absent = withoutBinaries(name, `${name}, when the server is killed`);
  let server: OwnServer | undefined;
  beforeAll(async () => {
    if (absent) return;
    server = await ownServer(name);
    await server.start();
  }, 120_000);
  afterAll(async () => {
    await server?.destroy();
  });

  test.skipIf(absent)(
    'keeps every acknowledged operation once and in order, and no partial transaction',
    async () => {
      const own = server as OwnServer;
      await using store = openStore(own.url, 'killed');
      await store.session('warm').addItems([{ role: 'user', content: 'up' }]);
      const stop = new AbortController();
      const acknowledged = new Map<string, string[]>();
      const writers = ['a', 'b', 'c'].map(async (id) => {
        const session = store.session(id);
        const done: string[] = [];
        acknowledged.set(id, done);
        for (let call = 0; !stop.signal.aborted; call++) {
          const texts = [`${id} ${call} 0`, `${id} ${call} 1`];
          await insist(
            session,
            `${id}-${call}`,
            texts.map((content) => ({ type: 'message', role: 'user', content })),
          );
          done.push(...texts);
          await delay(1);
        }
      });
      for (let restart = 0; restart < RESTARTS; restart++) {
        await delay(100 + randomInt(200));
        await own.kill(restart % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
        await delay(150);
        await own.start();
        await delay(200);
      }
      stop.abort();
      await Promise.all(writers);
      for (const [id, texts] of acknowledged) {
        expect(texts.length).toBeGreaterThan(0);
        expect(await textsOf(store, id)).toEqual(texts);
      }
    },
    TIMEOUT,
  );
});
