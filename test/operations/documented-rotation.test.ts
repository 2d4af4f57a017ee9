import type { AgentInputItem, Session } from '@openai/agents';
import type { JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cache, encrypt, expire, generateKey, keyring, redact, wrapStore } from '../../src/index.ts';
import type { Keyring, Layers, Store } from '../../src/index.ts';
import type { DekDatabase } from '../../src/keys/dek-store.ts';
import { checkKeys, destroyKey, reencrypt, rewrap, sqliteDekStore } from '../../src/operations/index.ts';
import { mysqlDekStore } from '../../src/stores/mysql.ts';
import { postgresDekStore } from '../../src/stores/postgres.ts';
import { redisDekStore } from '../../src/stores/redis.ts';
import { coded, failure } from '../crypto/failure.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from '../stores/cleaning.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { openStore } from '../stores/open-store.ts';
import { announce, uniqueName } from '../stores/servers.ts';

// The procedures of SECURITY.md as a reader carries them out, with two processes on the stack of the README.

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

interface Place {
  readonly store: () => Store<Session>;
  readonly dekStore: () => DekDatabase;
}

let stolen: JWK;
let next: JWK;
beforeAll(async () => {
  stolen = { ...(await generateKey()), kid: 'stolen' };
  next = { ...(await generateKey()), kid: 'next' };
});

interface Process {
  readonly keys: Keyring;
  readonly sessions: Store<Session>;
}

/** Two processes that have written to a session and have it in their caches. */
async function twoProcesses(
  { store, dekStore }: Place,
  external: boolean,
  work: (id: string, one: Process, other: Process, fresh: () => Promise<AgentInputItem[]>) => Promise<void>,
): Promise<void> {
  const opened: { close(): Promise<void> }[] = [];
  const start = (keys: Keyring): Process => {
    const [bare, dekDatabase] = [store(), ...(external ? [dekStore()] : [])] as const;
    opened.push(bare, ...(dekDatabase === undefined ? [] : [dekDatabase]));
    const layers: Layers = [
      redact({ entities: ['EMAIL_ADDRESS'] }),
      expire({ after: '30d' }),
      cache({ maxBytes: 2 ** 20 }),
      encrypt({ keys, ...(dekDatabase !== undefined && { dekStore: dekDatabase }) }),
    ];
    return { keys, sessions: wrapStore(bare, layers) };
  };
  const id = uniqueName('session');
  try {
    const [one, other] = [start(keyring({ current: stolen })), start(keyring({ current: stolen }))] as const;
    await one.sessions.session(id).addItems([said('a')]);
    await other.sessions.session(id).addItems([said('b')]);
    for (const { sessions } of [one, other]) await sessions.session(id).getItems();
    await work(id, one, other, () =>
      start(keyring({ current: next }))
        .sessions.session(id)
        .getItems(),
    );
    // What works on the whole store meets the sessions of all tests.
    await one.sessions.deleteSession(id);
  } finally {
    for (const each of opened) await each.close();
  }
}

function suite(place: () => Place): void {
  for (const external of [false, true]) {
    const where = external ? 'in a DEK store' : 'in the table of the store';
    test(`a planned rotation leaves every process able to read and write, data keys ${where}`, () =>
      twoProcesses(place(), external, async (id, one, other, fresh) => {
        for (const { keys } of [one, other]) keys.add(next);
        for (const { keys } of [one, other]) keys.promote('next');
        await rewrap(one.sessions);
        expect(await checkKeys(one.sessions, { keys: one.keys })).toMatchObject([{ kid: 'next' }]);
        for (const { keys, sessions } of [one, other])
          await destroyKey(keys, 'stolen', { dekStores: sessions });
        for (const [index, { sessions }] of [one, other].entries()) {
          expect(await sessions.session(id).getItems()).toHaveLength(2 + index);
          await sessions.session(id).addItems([said(`after ${index}`)]);
        }
        expect(await fresh()).toHaveLength(4);
      }));

    test(`the procedure after a theft leaves every process able to read and write, data keys ${where}`, () =>
      twoProcesses(place(), external, async (id, one, other, fresh) => {
        for (const { keys } of [one, other]) keys.add(next);
        for (const { keys } of [one, other]) keys.promote('next');
        // Nobody writes while it runs; the other process has the old data keys open all the same.
        const report = await reencrypt(one.sessions, { grace: 0 });
        expect(report.destroyed.length).toBeGreaterThanOrEqual(2);
        const left = (await checkKeys(one.sessions, { keys: one.keys })).filter(
          ({ kid }) => kid === 'stolen',
        );
        expect(left).toEqual([]);
        for (const { keys, sessions } of [one, other])
          await destroyKey(keys, 'stolen', { dekStores: sessions });
        for (const [index, { sessions }] of [one, other].entries()) {
          expect(await sessions.session(id).getItems()).toHaveLength(2 + index);
          await sessions.session(id).addItems([said(`after ${index}`)]);
        }
        expect(await fresh()).toHaveLength(4);
      }));
  }

  test('a process that has not promoted the new key still uses the stolen one, and readers get an error', () =>
    twoProcesses(place(), false, async (id, one, other) => {
      for (const { keys } of [one, other]) keys.add(next);
      one.keys.promote('next');
      await reencrypt(one.sessions, { grace: 0 });
      await destroyKey(one.keys, 'stolen', { dekStores: one.sessions });
      await other.sessions.session(id).addItems([said('late')]);
      expect(await failure(() => one.sessions.session(id).getItems())).toEqual(
        coded(
          'ERR_KEY_DISABLED',
          /"stolen" is destroyed .* another process still wraps with it: promote its successor/,
        ),
      );
      // Another time, as it should have been.
      other.keys.promote('next');
      await reencrypt(other.sessions, { grace: 0 });
      expect(await one.sessions.session(id).getItems()).toHaveLength(3);
    }));
}

describe('SQLite', () => {
  const file = temporaryFolder();
  suite(() => ({
    store: () => openStore(file('rotation.db'), ''),
    dekStore: () => sqliteDekStore(file('keys.db')),
  }));
});

const name = uniqueName('rotated');

const postgres = await announce('PostgreSQL', 'documented rotations in PostgreSQL');
describe.skipIf(postgres.absent)('PostgreSQL', () => {
  afterAll(async () => {
    for (const schema of [name, `${name}_keys`]) await dropPostgresSchema(postgres.url, schema);
  });
  suite(() => ({
    store: () => openStore(postgres.url, name),
    dekStore: () => postgresDekStore(postgres.url, { schema: `${name}_keys` }),
  }));
});

const mysql = await announce('MariaDB', 'documented rotations in MariaDB');
describe.skipIf(mysql.absent)('MariaDB', () => {
  afterAll(async () => {
    for (const prefix of [`${name}_`, `${name}_keys_`]) await dropMysqlTables(mysql.url, prefix);
  });
  suite(() => ({
    store: () => openStore(mysql.url, name),
    dekStore: () => mysqlDekStore(mysql.url, { prefix: `${name}_keys_` }),
  }));
});

const redis = await announce('Redis', 'documented rotations in Redis');
describe.skipIf(redis.absent)('Redis', () => {
  afterAll(async () => {
    for (const prefix of [name, `${name}_keys`]) await deleteRedisKeys(redis.url, prefix);
  });
  suite(() => ({
    store: () => openStore(redis.url, name),
    dekStore: () => redisDekStore(redis.url, { prefix: `${name}_keys` }),
  }));
});
