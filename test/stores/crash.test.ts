import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { dropMysqlTables, dropPostgresSchema, deleteRedisKeys } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { announce, uniqueName, type ServerName } from './servers.ts';
import { startWriter } from './writer.ts';

/** `npm run soak` sets it: the same tests, ten times as much and more. */
const SOAK = process.env['STRONGROOM_SOAK'] !== undefined;
const ROUNDS = SOAK ? 40 : 4;
const KILLS_A_ROUND = 5;
const RESTARTS = SOAK ? 20 : 2;
const PROCESSES = 8;
const SESSIONS = 50;
const CALLS = SOAK ? 3_000 : 100;
const TIMEOUT = SOAK ? 1_800_000 : 120_000;

async function textsOf(store: Store<StoreSession>, id: string): Promise<string[]> {
  return (await store.session(id).getItems()).map((item) => (item as { content: string }).content);
}

function crashes(target: () => string, name: () => string): void {
  test(
    'loses nothing that was acknowledged when a writer is killed, and keeps no half call',
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const names = Array.from({ length: KILLS_A_ROUND }, (_, kill) => `w${round}-${kill}`);
        const writers = names.map((writer) =>
          startWriter(target(), name(), { writer, calls: 100_000, sessions: 1 }),
        );
        for (const writer of writers) {
          await writer.reached(1 + randomInt(30));
          writer.kill();
        }
        await Promise.all(writers.map((writer) => writer.ended));
        await using store = openStore(target(), name());
        const texts = await textsOf(store, 'shared-0');
        for (const [index, writer] of names.entries()) {
          const mine = texts.filter((text) => text.startsWith(`${writer} `));
          expect(mine).toEqual(mine.map((_, at) => `${writer} ${Math.floor(at / 2)} ${at % 2}`));
          expect(mine.length % 2).toBe(0);
          expect(mine.length / 2).toBeGreaterThanOrEqual(writers[index]?.acknowledged().length ?? 0);
        }
        await store.deleteSession('shared-0');
      }
    },
    TIMEOUT,
  );

  test(
    'gives many processes one history each session: every item once, whole calls, each in its order',
    async () => {
      const writers = Array.from({ length: PROCESSES }, (_, number) =>
        startWriter(target(), name(), {
          writer: `p${number}`,
          calls: CALLS,
          sessions: SESSIONS,
          popEvery: 7,
        }),
      );
      expect(await Promise.all(writers.map((writer) => writer.ended))).toEqual(writers.map(() => 0));
      const popped = new Map<string, string[]>();
      for (const line of writers.flatMap((writer) => writer.acknowledged())) {
        const [kind = '', id = '', ...text] = line.split(' ');
        if (kind === '-') popped.set(id, [...(popped.get(id) ?? []), text.join(' ')]);
      }
      await using store = openStore(target(), name());
      for (let session = 0; session < SESSIONS; session++) {
        const id = `shared-${session}`;
        const left = await textsOf(store, id);
        const gone = popped.get(id) ?? [];
        const expected = Array.from({ length: PROCESSES }, (_, number) =>
          Array.from({ length: CALLS }, (_, call) => [`p${number} ${call} 0`, `p${number} ${call} 1`]).filter(
            (_, call) => call % SESSIONS === session,
          ),
        ).flat(2);
        expect([...left, ...gone].sort()).toEqual(expected.sort());
        for (let number = 0; number < PROCESSES; number++) {
          const mine = left.filter((text) => text.startsWith(`p${number} `));
          const order = mine.map((text) => text.split(' ').map((part) => Number(part.replace('p', ''))));
          expect(order).toEqual(
            [...order].sort(
              (a, b) => (a[1] as number) - (b[1] as number) || (a[2] as number) - (b[2] as number),
            ),
          );
        }
        await store.deleteSession(id);
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
    'keeps every acknowledged operation once and in order, and nothing of half a transaction',
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
