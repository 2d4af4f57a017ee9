import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem, Session } from '@openai/agents';
import * as fc from 'fast-check';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { ancestorsOf, derivedId, lineageOf } from '../../src/derived-id.ts';
import { archiveHistory } from '../../src/history/archive-history.ts';
import {
  audit,
  cache,
  encrypt,
  expire,
  redact,
  wrapStore,
  type Layers,
  type SessionLayer,
} from '../../src/index.ts';
import { sessionDekStore } from '../../src/keys/session-dek-store.ts';
import { memoryDekStore } from '../../src/keys/memory-dek-store.ts';
import { checkKeys } from '../../src/operations/check-keys.ts';
import { hold, release } from '../../src/operations/holds.ts';
import {
  eraseSession,
  eraseSubject,
  exportSubject,
  retention,
  returnedSessions,
  verifyErasure,
  verifyReceipt,
  type Erasure,
} from '../../src/operations/retention.ts';
import { rewrap } from '../../src/operations/rewrap.ts';
import { shred } from '../../src/operations/shred.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { DEK_STORE, MAINTENANCE, openBeside } from '../../src/session-contract.ts';
import { USAGE_RECORD } from '../../src/protocol/ledger.ts';
import { createStore } from '../../src/stores/index.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock, fixedKeyring } from '../../src/testing/index.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from '../stores/cleaning.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { announce, uniqueName } from '../stores/servers.ts';
import { rounds } from '../support/soak.ts';

const keys = fixedKeyring();

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

/** All layers, with a vault that belongs to the session. */
function fullStack(store: Store<StoreSession>, more: Layers = [encrypt({ keys })]): Layers {
  const vaultOf = (id: string): Session =>
    store.session(derivedId({ kind: 'vault', of: id }), { derived: true });
  return [
    audit({ sink: () => undefined }),
    redact({
      operators: { EMAIL_ADDRESS: { type: 'pseudonymize', key: new Uint8Array(32) } },
      vault: vaultOf,
    }),
    expire({ after: '30d' }),
    cache({ maxItems: 1_000 }),
    ...more,
  ];
}

/** How a tree grows: each step adds to a session that is there. */
interface Step {
  readonly at: number;
  readonly what: 'branch' | 'usage' | 'archive' | 'item' | 'clear';
}

const steps = fc.array(
  fc.record({
    at: fc.nat(20),
    what: fc.constantFrom('branch', 'usage', 'archive', 'item', 'item', 'clear'),
  }),
  { maxLength: 12 },
);

/** A ledger takes nothing else. */
const usageRecord = (text: string): AgentInputItem => ({
  type: 'unknown',
  providerData: { type: USAGE_RECORD, text },
});

/** Grows a tree, and gives the ids of all that was ever written to. */
async function grow(
  sessions: Store,
  root: string,
  subject: string,
  canary: string,
  plan: readonly Step[],
): Promise<string[]> {
  const texts = (id: string, of = id): AgentInputItem[] =>
    [`${canary} in ${of}`, `write to ${canary}@example.org`].map((text) =>
      lineageOf(id)?.kind === 'usage' ? usageRecord(text) : message(text),
    );
  await sessions.session(root, { subject }).addItems(texts(root));
  const ids = [root];
  const open = (id: string): Session => sessions.session(id, { derived: lineageOf(id) !== undefined });
  for (const { at, what } of plan) {
    const id = ids[at % ids.length] as string;
    if (ancestorsOf(id).length > 3) continue;
    const session = open(id);
    if (what === 'item') await session.addItems(texts(id));
    else if (what === 'clear') await session.clearSession();
    else {
      const beside = (await openBeside(session, { kind: what, name: `${ids.length}` })) as Session;
      if (what === 'archive') await archiveHistory(session, { before: 1_000, to: beside });
      const besideId = await beside.getSessionId();
      await beside.addItems(texts(besideId, id));
      ids.push(besideId);
    }
  }
  return ids;
}

interface Kind {
  readonly open: () => Store<StoreSession>;
  /** Everything that the database has, as text. */
  readonly dump: () => Promise<string>;
}

let number = 0;

function suite({ open, dump }: Kind): void {
  test('erases trees of a subject, of any structure, and nothing of others', async () => {
    const store = open();
    const sessions = wrapStore(store, fullStack(store));
    await fc.assert(
      fc.asyncProperty(steps, steps, async (mine, theirs) => {
        const [root, subject, canary] = [`root-${number}`, `person-${number}`, `canary${number++}`];
        const ids = await grow(sessions, root, subject, canary, mine);
        const others = await grow(sessions, `${root}~x`, `${subject}x`, canary, theirs);
        const kept = await Promise.all(
          others.map(async (id) => sessions.session(id, { derived: true }).getItems()),
        );
        const report = await eraseSubject(sessions, subject);
        expect(report.orphans).toEqual([]);
        expect(report.held).toEqual([]);
        expect(new Set(report.deleted)).toEqual(new Set([...report.deleted, ...ids]));
        for (const id of report.deleted) {
          expect(id === root || ancestorsOf(id).includes(root)).toBe(true);
          expect(await store.session(id, { derived: true }).getItems()).toEqual([]);
          expect(await sessions.session(id, { derived: true }).getItems()).toEqual([]);
          expect(await all(store.session(root)[DEK_STORE].list({ sessionId: id }))).toEqual([]);
        }
        expect(await store[MAINTENANCE]?.derived(root)).toEqual([]);
        expect(await store[MAINTENANCE]?.ofSubject(subject)).toEqual([]);
        expect(await verifyErasure(sessions, report)).toEqual([]);
        expect(
          await Promise.all(others.map(async (id) => sessions.session(id, { derived: true }).getItems())),
        ).toEqual(kept);
        await eraseSubject(sessions, `${subject}x`);
      }),
      { numRuns: rounds(3, 60) },
    );
    await store.close();
  }, 120_000);

  test('leaves no text and no subject in the database', async () => {
    const store = open();
    const sessions = wrapStore(store, fullStack(store, []));
    const plan: Step[] = [
      { at: 0, what: 'branch' },
      { at: 1, what: 'usage' },
      { at: 1, what: 'archive' },
      { at: 0, what: 'item' },
    ];
    await grow(sessions, 'canary root', 'person-canary', 'canarytext', plan);
    expect(await dump()).toContain('canarytext');
    expect(await dump()).toContain('person-canary');
    await eraseSubject(sessions, 'person-canary');
    expect(await dump()).not.toContain('canarytext');
    expect(await dump()).not.toContain('person-canary');
    await store.close();
  });

  test('erases nothing of a tree under a hold, and all of it after the release', async () => {
    const store = open();
    const sessions = wrapStore(store, fullStack(store));
    const plan: Step[] = [
      { at: 0, what: 'branch' },
      { at: 1, what: 'branch' },
      { at: 2, what: 'usage' },
    ];
    const ids = await grow(sessions, 'held root', 'person-held', 'text', plan);
    const placed = await hold(store, { sessionId: ids[1] as string, reason: 'case 7' });
    const before = await Promise.all(
      ids.map(async (id) => sessions.session(id, { derived: true }).getItems()),
    );
    const report = await eraseSubject(sessions, 'person-held');
    expect(report).toMatchObject({ deleted: [], held: ['held root'], orphans: [], sessions: [], kinds: {} });
    expect(
      await Promise.all(ids.map(async (id) => sessions.session(id, { derived: true }).getItems())),
    ).toEqual(before);
    await release(store, placed.id);
    const after = await eraseSubject(sessions, 'person-held');
    expect(after).toMatchObject({ held: [], orphans: [] });
    expect(new Set(after.deleted)).toEqual(new Set([...after.deleted, ...ids]));
    expect(after.kinds).toMatchObject({
      conversation: { sessions: 1, records: 2 },
      branch: { sessions: 2, records: 4 },
      usage: { sessions: 1, records: 2 },
    });
    await store.close();
  });

  test('reports restored rows and remaining keys, by kind', async () => {
    const store = open();
    const sessions = wrapStore(store, fullStack(store));
    const ids = await grow(sessions, 'back root', 'person-back', 'text', [{ at: 0, what: 'branch' }]);
    const branch = ids[1] as string;
    const maintenance = store[MAINTENANCE];
    const rows = (await maintenance?.records(branch)) ?? [];
    const [key] = await all(store.session(branch, { derived: true })[DEK_STORE].list({ sessionId: branch }));
    const report = await eraseSession(sessions, 'back root', { by: 'privacy team' });
    expect(report).toMatchObject({ sessionId: 'back root', by: 'privacy team', orphans: [] });
    expect(await all(returnedSessions(sessions))).toEqual([]);
    // As a restored backup does it: the records and the key of them.
    await maintenance?.append(
      branch,
      rows.map(({ did: _did, ...row }) => ({ ...row, did: null })),
    );
    await store[MAINTENANCE]?.dekStore.put({ ...key!, did: `${key!.did.slice(1)}A` });
    const found = await verifyErasure(sessions, report);
    expect(new Set(found)).toEqual(
      new Set([
        { sessionId: branch, kind: 'branch', what: 'records', count: 2 },
        { sessionId: branch, kind: 'branch', what: 'key', count: 1 },
      ]),
    );
    expect(await all(returnedSessions(sessions))).toEqual([
      { id: branch, erasedAt: expect.any(Number) as number },
    ]);
    expect((await eraseSession(sessions, 'back root')).kinds).toMatchObject({ branch: { sessions: 1 } });
    expect(await all(returnedSessions(sessions))).toEqual([]);
    await store.close();
  });
}

const file = temporaryFolder();

describe('erasure in SQLite', () => {
  const path = file('erasure.db');
  suite({
    open: () => openSqlite(path),
    // The log is emptied when the last store closes.
    dump: async () => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
      return readFileSync(path, 'latin1');
    },
  });

  test('leaves nothing readable in a copy made afterwards', async () => {
    const [from, copy] = [file('before.db'), file('copy.db')];
    const store = openSqlite(from);
    const sessions = wrapStore(store, fullStack(store));
    const ids = await grow(sessions, 'root', 'person', 'text', [{ at: 0, what: 'branch' }]);
    await eraseSubject(sessions, 'person');
    await store.close();
    copyFileSync(from, copy);
    await using copied = openSqlite(copy);
    for (const id of ids) {
      expect(await wrapStore(copied, fullStack(copied)).session(id, { derived: true }).getItems()).toEqual(
        [],
      );
      expect(await all(copied.session('root')[DEK_STORE].list())).toEqual([]);
    }
  });
});

describe('erasure in a store over keys and values', () => {
  const table = new Map<string, Uint8Array>();
  suite({
    open: () => createStore(memoryDriver(table)),
    dump: async () =>
      [...table].map(([key, value]) => `${key} ${Buffer.from(value).toString('latin1')}`).join('\n'),
  });
});

const postgres = await announce('PostgreSQL', 'erasure in PostgreSQL');
describe.skipIf(postgres.absent)('erasure in PostgreSQL', () => {
  const schema = uniqueName('erasure');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  suite({
    open: () => openPostgres(postgres.url, { schema }),
    async dump() {
      const client = new Client(postgres.url);
      await client.connect();
      const tables = ['sessions', 'items', 'operations', 'deks', 'leases'];
      const rows: unknown[] = [];
      for (const table of tables) {
        const body = table === 'items' ? "encode(body, 'escape')" : "''";
        const found = await client.query(
          `SELECT t::text || coalesce(${body}, '') AS row FROM ${schema}.strongroom_${table} t`,
        );
        rows.push(found.rows);
      }
      await client.end();
      return JSON.stringify(rows);
    },
  });
});

const mariadb = await announce('MariaDB', 'erasure in MariaDB');
describe.skipIf(mariadb.absent)('erasure in MariaDB', () => {
  const prefix = `${uniqueName('erasure')}_`;
  afterAll(() => dropMysqlTables(mariadb.url, prefix));
  suite({
    open: () => openMysql(mariadb.url, { prefix }),
    async dump() {
      const client = await createConnection(mariadb.url);
      const texts: string[] = [];
      for (const table of ['sessions', 'items', 'operations', 'deks', 'leases']) {
        const [rows] = await client.query(`SELECT * FROM ${prefix}${table}`);
        for (const row of rows as object[]) {
          for (const value of Object.values(row)) {
            texts.push(Buffer.isBuffer(value) ? value.toString('latin1') : String(value));
          }
        }
      }
      await client.end();
      return texts.join('\n');
    },
  });
});

const redis = await announce('Redis', 'erasure in Redis');
describe.skipIf(redis.absent)('erasure in Redis', () => {
  const prefix = uniqueName('erasure');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  suite({
    open: () => openRedis(redis.url, { prefix }),
    async dump() {
      const client = createClient({ url: redis.url });
      await client.connect();
      const texts: string[] = [];
      for await (const found of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 500 })) {
        for (const key of found) {
          const type = await client.type(key);
          if (type === 'list') texts.push(key, ...(await client.lRange(key, 0, -1)));
          else if (type === 'hash') texts.push(key, JSON.stringify(await client.hGetAll(key)));
          else if (type === 'zset') texts.push(key, ...(await client.zRange(key, 0, -1)));
          else texts.push(key, (await client.get(key)) ?? '');
        }
      }
      await client.close();
      return texts.join('\n');
    },
  });
});

async function keyPair(alg: string): Promise<{ privateKey: JWK; publicKey: JWK }> {
  const pair = await generateKeyPair(alg, { extractable: true });
  return { privateKey: await exportJWK(pair.privateKey), publicKey: await exportJWK(pair.publicKey) };
}

async function receiptOf(receiptKey: JWK): Promise<string> {
  await using store = openSqlite(':memory:');
  const sessions = wrapStore(store, fullStack(store));
  await grow(sessions, 'root', 'person', 'text', [{ at: 0, what: 'branch' }]);
  const { receipt = '' } = await eraseSubject(sessions, 'person', { receiptKey, reason: 'request 4711' });
  return receipt;
}

const REFUSED: unknown = expect.objectContaining({ code: 'ERR_AUTHENTICATION' });

describe('a receipt', () => {
  test.each(['ES256', 'ES384', 'EdDSA', 'PS256'])(
    'signed with a key for %s states what was erased',
    async (alg) => {
      const { privateKey, publicKey } = await keyPair(alg);
      const receipt = await receiptOf(privateKey);
      const erasure = await verifyReceipt(receipt, publicKey, { subject: 'person' });
      expect(erasure).toMatchObject({
        type: 'strongroom/erasure',
        subject: 'person',
        reason: 'request 4711',
        held: [],
        orphans: [],
        kinds: {
          conversation: { sessions: 1, records: 2 },
          branch: { sessions: 1, records: 2 },
          vault: { sessions: 2 },
        },
      });
      expect(erasure.sessions.every((session) => session.kind === 'vault' || session.keys.length === 1)).toBe(
        true,
      );
      expect(erasure.notReached).not.toEqual([]);
      await expect(verifyReceipt(receipt, (await keyPair(alg)).publicKey)).rejects.toEqual(REFUSED);
    },
  );

  test('with one flipped bit, about another subject, or with a line less is refused', async () => {
    const { privateKey, publicKey } = await keyPair('ES256');
    const receipt = await receiptOf(privateKey);
    await expect(verifyReceipt(receipt, publicKey, { subject: 'another' })).rejects.toEqual(REFUSED);
    await expect(verifyReceipt(receipt, publicKey, { sessionId: 'root' })).rejects.toEqual(REFUSED);
    const parts = receipt.split('.').map((part) => Buffer.from(part, 'base64url'));
    const bits = parts.flatMap((part, at) =>
      Array.from({ length: part.length * 8 }, (_, bit) => [at, bit] as const),
    );
    for (const [at, bit] of bits.filter((_, index) => index % 97 === 0)) {
      const flipped = parts.map((part) => Buffer.from(part));
      flipped[at]![bit >> 3]! ^= 1 << (bit & 7);
      const text = flipped.map((part) => part.toString('base64url')).join('.');
      await expect(verifyReceipt(text, publicKey)).rejects.toEqual(REFUSED);
    }
    const lines = parts[1]!.toString().split('\n');
    expect(lines.length).toBeGreaterThan(20);
    for (const left of lines.keys()) {
      const payload = Buffer.from(lines.filter((_, line) => line !== left).join('\n')).toString('base64url');
      const [header, , signature] = receipt.split('.');
      await expect(verifyReceipt(`${header}.${payload}.${signature}`, publicKey)).rejects.toEqual(REFUSED);
    }
  });

  test('is verified by the jose program of Debian, which refuses a changed one', async () => {
    const { privateKey, publicKey } = await keyPair('ES256');
    const receipt = await receiptOf(privateKey);
    const [signed, key] = [file('receipt.jws'), file('key.jwk')];
    writeFileSync(key, JSON.stringify(publicKey));
    const verified = (text: string): string => {
      writeFileSync(signed, text);
      return execFileSync('jose', ['jws', 'ver', '-i', signed, '-k', key, '-O', '-'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    };
    expect(JSON.parse(verified(receipt))).toMatchObject({ type: 'strongroom/erasure', subject: 'person' });
    const [header = '', payload = '', signature = ''] = receipt.split('.');
    const other = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('person', 'another'));
    expect(() => verified(`${header}.${other.toString('base64url')}.${signature}`)).toThrow(
      'Command failed: jose jws ver',
    );
  });

  test('a receiptKey that cannot sign is refused before anything is erased', async () => {
    const pairOf = async (alg: string): Promise<JWK> =>
      exportJWK((await generateKeyPair(alg, { extractable: true })).privateKey);
    const [one, other] = [await pairOf('ES256'), await pairOf('ES256')];
    await using raw = openSqlite(':memory:');
    const store = wrapStore(raw, [encrypt({ keys })]);
    await store.session('user', { subject: 'p' }).addItems([message('hello')]);
    const cannot =
      /^eraseSubject: the receiptKey cannot sign by |does not verify what its private half signs/;
    for (const receiptKey of [
      { ...(await pairOf('ECDH-ES+A256KW')), alg: 'ECDH-ES+A256KW' },
      { ...(await pairOf('RSA-OAEP-256')), alg: 'RSA-OAEP-256' },
      { ...one, key_ops: ['verify'] },
      { ...one, alg: 'ES384' },
      { ...one, d: other.d as string },
    ]) {
      await expect(eraseSubject(store, 'p', { receiptKey })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringMatching(cannot) as string,
      });
      await expect(eraseSession(store, 'user', { receiptKey })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
      });
    }
    expect(await store.session('user').getItems()).toEqual([message('hello')]);
  });

  test('needs a private key, and does not show it', async () => {
    await using store = openSqlite(':memory:');
    const { publicKey } = await keyPair('ES256');
    for (const receiptKey of [publicKey, {}, 'key', null, { kty: 'oct', k: 'secret' }]) {
      await expect(eraseSubject(store, 'p', { receiptKey: receiptKey as never })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.not.stringContaining('secret') as string,
      });
    }
    await expect(verifyReceipt('not a receipt', publicKey)).rejects.toEqual(REFUSED);
    await expect(verifyReceipt('a.b.c', {})).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });
});

describe('a derived session of a conversation', () => {
  test('is erased with its keys in another database, where tombstones outlive a restored backup', async () => {
    const [path, backup] = [file('rows.db'), file('backup.db')];
    const dekStore = memoryDekStore();
    const store = openSqlite(path);
    const sessions = wrapStore(store, fullStack(store, [encrypt({ keys, dekStore })]));
    const ids = await grow(sessions, 'root', 'person', 'text', [{ at: 0, what: 'branch' }]);
    await store.close();
    copyFileSync(path, backup);
    const again = openSqlite(path);
    const { at } = await eraseSubject(
      wrapStore(again, fullStack(again, [encrypt({ keys, dekStore })])),
      'person',
    );
    expect(await all(dekStore.list())).toEqual([]);
    await again.close();
    await using restored = openSqlite(backup);
    const stack = wrapStore(restored, fullStack(restored, [encrypt({ keys, dekStore })]));
    const back = await all(returnedSessions(stack));
    expect(new Set(back.map(({ id }) => id))).toEqual(new Set([...back.map(({ id }) => id), ...ids]));
    expect(back.every(({ erasedAt }) => Math.abs(erasedAt - at) < 60_000)).toBe(true);
    expect(await stack.session('root').getItems()).toEqual([]);
  });

  test('does not come back by a transfer from a backup', async () => {
    const [path, backup] = [file('live.db'), file('old.db')];
    const first = openSqlite(path);
    await first.session('root', { subject: 'p' }).addItems([message('one')]);
    await first.session('other').addItems([message('two')]);
    await first.close();
    copyFileSync(path, backup);
    await using live = openSqlite(path);
    await eraseSubject(live, 'p');
    await using old = openSqlite(backup);
    expect(await transfer(old, live)).toMatchObject({ erased: ['root'], sessions: 1 });
    expect(await live.session('root').getItems()).toEqual([]);
  });

  test('is transferred, exported and shredded with it, and each reports it by kind', async () => {
    await using store = openSqlite(':memory:');
    await using other = openSqlite(':memory:');
    const sessions = wrapStore(store, fullStack(store));
    const ids = await grow(sessions, 'root', 'person', 'text', [
      { at: 0, what: 'branch' },
      { at: 1, what: 'usage' },
    ]);
    expect(await transfer(store, other)).toMatchObject({ derived: { branch: 1, usage: 1 } });
    expect(new Set(await other[MAINTENANCE]?.tree('root'))).toEqual(
      new Set(await store[MAINTENANCE]?.tree('root')),
    );
    const exported = await all(exportSubject(sessions, 'person'));
    expect(exported.map(({ id, kind, root }) => [id, kind, root])).toEqual(
      ids.toSorted().map((id) => [id, lineageOf(id)?.kind ?? 'conversation', 'root']),
    );
    for (const { items, details = [] } of exported) {
      expect(details).toHaveLength(items.length);
      for (const { at } of details) expect(at).toBeTypeOf('number');
    }
    const held = await hold(store, { sessionId: ids[2] as string, reason: 'case 7' });
    await expect(shred(sessions.session('root'))).rejects.toMatchObject({ code: 'ERR_HELD' });
    expect(await sessions.session('root').getItems()).toHaveLength(2);
    await release(store, held.id);
    const receipt = await shred(sessions.session('root'));
    expect(receipt.derived).toMatchObject({ branch: 1, usage: 1 });
    expect(receipt).toMatchObject({ rowsCleared: true });
    expect(receipt.keys).toHaveLength(3);
    for (const id of ids) expect(await sessions.session(id, { derived: true }).getItems()).toEqual([]);
  });

  test('keeps its conversation, and is deleted with it by age and by inactivity', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    const branch = derivedId({ kind: 'branch', of: 'a', name: 'x' });
    const vault = derivedId({ kind: 'vault', of: branch });
    await store.session('a').addItems([message('one')]);
    await store.session(vault, { derived: true }).addItems([message('value')]);
    clock.advance('20d');
    await store.session(branch, { derived: true }).addItems([message('two')]);
    clock.advance('20d');
    const rules = retention(store, { maxIdle: '30d' });
    expect((await rules.run()).deleted).toEqual([]);
    clock.advance('11d');
    const placed = await hold(store, { sessionId: branch, reason: 'case 7' });
    expect(await rules.run()).toMatchObject({ deleted: [], held: ['a'] });
    await release(store, placed.id);
    expect(await rules.run({ dryRun: true })).toMatchObject({
      deleted: ['a'],
      derived: { branch: 1, vault: 1 },
    });
    expect(await rules.run()).toMatchObject({ deleted: ['a'], derived: { branch: 1, vault: 1 }, held: [] });
    expect(await all(store.sessions({ derived: 'all' }))).toEqual([]);
  });

  test('is judged by itself when the conversation no longer exists', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    const usage = derivedId({ kind: 'usage', of: 'gone' });
    await store.session(usage, { derived: true }).addItems([usageRecord('ledger')]);
    clock.advance('31d');
    expect(await retention(store, { maxIdle: '30d' }).run()).toMatchObject({ deleted: [usage] });
  });

  test('is found after an incomplete erasure', async () => {
    const table = new Map<string, Uint8Array>();
    const driver = memoryDriver(table);
    const forgetful = createStore({
      ...driver,
      // Takes the row, and leaves the records.
      commit: (writes) =>
        driver.commit({ ...writes, remove: writes.remove.filter((key) => !key.startsWith('item/')) }),
    });
    const branch = derivedId({ kind: 'branch', of: 'root', name: 'x' });
    await forgetful.session('root').addItems([message('one'), message('two')]);
    await forgetful.session(branch, { derived: true }).addItems([message('three')]);
    const { orphans } = await eraseSession(forgetful, 'root');
    expect(new Set(orphans)).toEqual(
      new Set([
        { sessionId: 'root', kind: 'conversation', what: 'records', count: 2 },
        { sessionId: branch, kind: 'branch', what: 'records', count: 1 },
      ]),
    );
  });

  test('is deleted with it also when somebody makes more of it meanwhile', async () => {
    await using store = openSqlite(':memory:');
    const branch = (name: string): string => derivedId({ kind: 'branch', of: 'root', name });
    await store.session('root').addItems([message('one')]);
    await store.session(branch('a'), { derived: true }).addItems([message('two')]);
    let left = 2;
    const another: SessionLayer = {
      name: 'another process',
      async around({ sessionId }, next) {
        const result = await next();
        if (sessionId !== 'root' && left-- > 0) {
          await store.session(branch(`more ${left}`), { derived: true }).addItems([message('more')]);
        }
        return result;
      },
    };
    const sessions = wrapStore(store, [another]);
    expect(await sessions.deleteSession('root')).toEqual({ derived: { branch: 3 } });
    expect(await all(store.sessions({ derived: 'all' }))).toEqual([]);
  });

  test('counts no tombstone that was not finished among the keys', async () => {
    await using store = openSqlite(':memory:');
    await store.session('root').addItems([message('one')]);
    const table = store.session('root')[DEK_STORE];
    const drop = vi.spyOn(store[MAINTENANCE]!, 'drop').mockRejectedValue(new Error('the process died'));
    await expect(eraseSession(store, 'root')).rejects.toThrow('the process died');
    drop.mockRestore();
    expect(await all(table.list())).toHaveLength(1);
    expect(await checkKeys(store, { keys })).toEqual([]);
    expect(await rewrap(store, { keys })).toMatchObject({ failures: [] });
    await eraseSession(store, 'root');
    expect(await all(table.list())).toEqual([]);
  });

  test('of an id that ends like the erased one is no finding, and stays', async () => {
    const store = openSqlite(':memory:');
    const stack = wrapStore(store, [encrypt({ keys })]);
    for (const id of ['b', 'a~b', '~a', 'a~~b']) await stack.session(id).addItems([message(id)]);
    const near = derivedId({ kind: 'branch', of: 'a~b', name: 'c' });
    await stack.session(near, { derived: true }).addItems([message('near')]);
    expect(await eraseSession(stack, 'b')).toMatchObject({ orphans: [], sessions: [{ id: 'b' }] });
    expect(await stack.session(near, { derived: true }).getItems()).toEqual([message('near')]);
    expect(await stack.session('a~b').getItems()).toEqual([message('a~b')]);
  });

  test('can be written again after an erasure, without a finding', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    await store.session('root', { subject: 'p' }).addItems([message('one')]);
    const report: Erasure = await eraseSubject(store, 'p');
    clock.advance('1d');
    await store.session('root', { subject: 'p' }).addItems([message('two')]);
    expect(await verifyErasure(store, report)).toEqual([]);
    expect(await all(returnedSessions(store))).toEqual([]);
  });

  test('refuses invalid arguments', async () => {
    await using store = openSqlite(':memory:');
    const invalid = { code: 'ERR_INVALID_OPTION' };
    await expect(eraseSession(store, '')).rejects.toMatchObject(invalid);
    await expect(eraseSession(store, '~branch~x~a')).rejects.toMatchObject(invalid);
    await expect(eraseSubject(store, 'p', { why: 'x' } as never)).rejects.toMatchObject(invalid);
    await expect(eraseSubject(store, 'p', { reason: 7 } as never)).rejects.toMatchObject(invalid);
    await expect(verifyErasure(store, {} as never)).rejects.toMatchObject(invalid);
    await expect(eraseSubject({} as never, 'p')).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });
});

describe('an erasure where data keys are kept in sessions of the same store', () => {
  test('reaches these sessions, and creates none of them again', async () => {
    await using store = openSqlite(':memory:');
    const dekStore = sessionDekStore((id) => store.session(id));
    const sessions = wrapStore(store, [encrypt({ keys, dekStore })]);
    const ids = await grow(sessions, 'root', 'person', 'text', [{ at: 0, what: 'branch' }]);
    const report = await eraseSubject(sessions, 'person');
    expect(report).toMatchObject({
      orphans: [],
      kinds: { keys: { sessions: 2 }, branch: { sessions: 1 }, conversation: { sessions: 1 } },
    });
    for (const id of ids) {
      expect(report.sessions.find((session) => session.id === id)?.keys).toHaveLength(1);
      expect(await all(dekStore.list({ sessionId: id }))).toEqual([]);
    }
    expect(await all(store.sessions({ derived: 'all' }))).toEqual([]);
    expect(await store[MAINTENANCE]?.tree('root')).toEqual([]);
  });
});
