import type { JWK } from 'jose';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { derivedId } from '../../src/derived-id.ts';
import { generateKey, wrapStore } from '../../src/index.ts';
import { eraseSession, eraseSubject } from '../../src/operations/retention.ts';
import { CALLS, MAINTENANCE } from '../../src/session-contract.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from '../stores/cleaning.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { openStore } from '../stores/open-store.ts';
import { announce, uniqueName } from '../stores/servers.ts';
import { startWriter } from '../stores/writer.ts';
import { erasureLayers } from './erasure-layers.ts';

const ID = 'live root';
const SUBJECT = 'live person';

const branchOf = (name: string): string => derivedId({ kind: 'branch', of: ID, name });

async function add(store: Store, id: string): Promise<void> {
  const isDerived = id !== ID;
  const session = store.session(id, isDerived ? { derived: true } : { subject: SUBJECT });
  await session.addItems([{ type: 'message', role: 'user', content: `item in ${id} of ada@example.org` }]);
}

async function idsOf(store: Store<StoreSession>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of store.sessions({ derived: 'all' })) ids.push(id);
  return ids;
}

async function keysOf(store: Store<StoreSession>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { sessionId } of store[MAINTENANCE]!.dekStore.list()) ids.push(sessionId);
  return ids;
}

/** The store, with a call after the deletion of each session of it. */
function withDeletions(store: Store<StoreSession>, key: JWK, then: (id: string) => Promise<void>): Store {
  const sessions = wrapStore(store, erasureLayers(store, key));
  const calls = sessions[CALLS]!;
  return {
    ...sessions,
    [CALLS]: {
      ...calls,
      async removing(id, kind, origin, work) {
        const result = await calls.removing(id, kind, origin, work);
        await then(id);
        return result;
      },
    },
  };
}

function suite(target: string, name: string): void {
  test('ends while a process writes, and a repeat after it has stopped erases the rest', async () => {
    const key = await generateKey();
    await using store = openStore(target, name);
    await store.ping();
    const sessions = wrapStore(store, erasureLayers(store, key));
    const args = [target, name, JSON.stringify(key), ID, SUBJECT];
    const writer = startWriter(new URL('erasure-writer.ts', import.meta.url), args);
    onTestFinished(() => writer.kill());
    await writer.reached(4);
    const first = await eraseSubject(sessions, SUBJECT);
    expect(first.kinds).toMatchObject({ usage: { sessions: 1 }, conversation: { sessions: 1 } });
    expect(new Set(first.deleted).size).toBe(first.deleted.length);
    // It was alive all the time, and goes on with the conversation.
    await writer.reached(writer.lines().length + 1);
    writer.tell('stop');
    expect(await writer.ended).toBe(0);
    for (const line of writer.lines()) expect(line).toMatch(/^(done|failed ERR_[A-Z_]+ .+)$/);
    const second = await eraseSubject(sessions, SUBJECT);
    const rest = await eraseSession(sessions, ID);
    expect([second.orphans, rest.orphans]).toEqual([[], []]);
    expect(await idsOf(store)).toEqual([]);
    expect(await keysOf(store)).toEqual([]);
    expect(await store[MAINTENANCE]?.derived(ID)).toEqual([]);
    expect(await store[MAINTENANCE]?.ofSubject(SUBJECT)).toEqual([]);
  }, 60_000);

  test('deletes a bounded number of sessions while more are made than it deletes', async () => {
    const key = await generateKey();
    await using store = openStore(target, name);
    const sessions = wrapStore(store, erasureLayers(store, key));
    await add(sessions, ID);
    for (const each of ['a', 'b']) await add(sessions, branchOf(each));
    let made = 0;
    let deletions = 0;
    // Endless, if each session that is made were deleted as well.
    const growing = withDeletions(store, key, async () => {
      deletions++;
      for (let more = 0; more < 3 && made < 60; more++) await add(sessions, branchOf(`more ${made++}`));
    });
    const report = await eraseSubject(growing, SUBJECT);
    // The conversation, two branches and three vaults; not those that were made for each of them.
    expect(deletions).toBe(report.deleted.length);
    expect(deletions).toBeLessThanOrEqual(6);
    const branches = (await idsOf(store)).filter((id) => id.startsWith('~branch~'));
    expect(branches).toHaveLength(made);
    const found = report.orphans.filter(({ what }) => what === 'records').map(({ sessionId }) => sessionId);
    expect(found.filter((id) => id.startsWith('~branch~')).toSorted()).toEqual(branches.toSorted());
    expect((await eraseSession(sessions, ID)).orphans).toEqual([]);
    expect(await idsOf(store)).toEqual([]);
    expect(await keysOf(store)).toEqual([]);
  });

  test('erases what is made meanwhile, if that is no more than there was', async () => {
    const key = await generateKey();
    await using store = openStore(target, name);
    const sessions = wrapStore(store, erasureLayers(store, key));
    await add(sessions, ID);
    await add(sessions, branchOf('a'));
    let made = 0;
    const growing = withDeletions(store, key, async (id) => {
      if (id === branchOf('a') && made++ === 0) await add(sessions, branchOf('a'));
    });
    const report = await eraseSubject(growing, SUBJECT);
    expect(report).toMatchObject({
      orphans: [],
      kinds: { branch: { sessions: 1, records: 2 }, conversation: { sessions: 1, records: 1 } },
    });
    expect(report.sessions.find(({ kind }) => kind === 'branch')?.keys).toHaveLength(2);
    expect(await idsOf(store)).toEqual([]);
  });
}

const file = temporaryFolder();
const name = uniqueName('live');

describe('an erasure with a live writer in SQLite', () => {
  suite(file('live.db'), name);
});

const postgres = await announce('PostgreSQL', 'an erasure with a live writer in PostgreSQL');
describe.skipIf(postgres.absent)('an erasure with a live writer in PostgreSQL', () => {
  afterAll(() => dropPostgresSchema(postgres.url, name));
  suite(postgres.url, name);
});

const mariadb = await announce('MariaDB', 'an erasure with a live writer in MariaDB');
describe.skipIf(mariadb.absent)('an erasure with a live writer in MariaDB', () => {
  afterAll(() => dropMysqlTables(mariadb.url, `${name}_`));
  suite(mariadb.url, name);
});

const redis = await announce('Redis', 'an erasure with a live writer in Redis');
describe.skipIf(redis.absent)('an erasure with a live writer in Redis', () => {
  afterAll(() => deleteRedisKeys(redis.url, name));
  suite(redis.url, name);
});
