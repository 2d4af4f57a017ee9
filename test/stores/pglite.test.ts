import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { fromPGlite, type PGliteLike } from '../../src/stores/postgres/pglite.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { kept, type SqlLoan, type SqlResult, type SqlValue } from '../../src/stores/sql/client.ts';
import { emptyPGlite } from './empty-pglite.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

let database: PGlite;
beforeAll(async () => {
  database = await emptyPGlite();
}, 60_000);
afterAll(() => database.close());

async function connect(pool: PGliteLike = database): Promise<SqlLoan> {
  return await fromPGlite(pool, () => Promise.resolve()).acquire();
}

interface Prepared {
  readonly name: string;
  readonly prepare_time: Date;
  readonly runs: number;
}

async function prepared(): Promise<Prepared[]> {
  const { rows } = await database.query<Prepared>(
    `SELECT name, prepare_time, generic_plans + custom_plans AS runs FROM pg_prepared_statements
     WHERE name LIKE 'strongroom%' ORDER BY prepare_time`,
  );
  return rows;
}

describe('a prepared statement in PGlite', () => {
  beforeEach(async () => void (await database.exec('DEALLOCATE ALL')));

  test('is parsed once for all stores of a database', async () => {
    await using store = openPostgres({ pool: database }, { prefix: 'once_' });
    await store.session('a').addItems([message('one')]);
    const [first] = await prepared();
    expect(first).toMatchObject({ runs: 1 });
    await using other = openPostgres({ pool: database }, { prefix: 'once_' });
    await store.session('a').addItems([message('two')]);
    await other.session('b').addItems([message('three')]);
    expect(await prepared()).toEqual([{ ...first, runs: 3 }]);
  });

  test('is prepared again after it was deallocated, also inside a transaction', async () => {
    await using store = openPostgres({ pool: database }, { prefix: 'again_' });
    const session = store.session('a');
    await session.addItems([message('one'), message('two')]);
    expect(await session.getItems()).toHaveLength(2);
    await database.exec('DEALLOCATE ALL');
    await session.addItems([message('three')]);
    expect(await session.getItems()).toHaveLength(3);
    expect(await session.popItem()).toEqual(message('three'));
    await database.exec('DISCARD ALL');
    expect(await session.popItem()).toEqual(message('two'));
    expect(await session.getItems()).toEqual([message('one')]);
  });

  test('replaces one that another copy of the package prepared', async () => {
    const one = kept('SELECT ?::int AS "another copy"');
    const loan = await connect();
    await loan.query(one, [1]);
    // A view of the same database that nobody has prepared anything on.
    const copy = Object.create(database, {}) as PGlite;
    for (const name of [
      'query',
      'runExclusive',
      'isInTransaction',
      'execProtocol',
      'execProtocolRawStream',
    ]) {
      const method = database[name as 'query'].bind(database);
      Object.defineProperty(copy, name, { value: method });
    }
    Object.defineProperty(copy, 'ready', { value: true });
    expect(await (await connect(copy)).query(one, [2])).toMatchObject({ rows: [{ 'another copy': 2 }] });
    expect(await loan.query(one, [3])).toMatchObject({ rows: [{ 'another copy': 3 }] });
    expect(await prepared()).toHaveLength(1);
  });

  test('fails with the error of PGlite, and leaves the connection usable', async () => {
    const divide = kept('SELECT 1 / ?::int AS quotient');
    const loan = await connect();
    const own: unknown = await database
      .query('SELECT 1 / $1::int AS quotient', [0])
      .catch((error: unknown) => error);
    const { message: text, severity, code, routine } = own as Error & Record<string, string>;
    expect(code).toBe('22012');
    await expect(loan.query(divide, [0])).rejects.toMatchObject({ message: text, severity, code, routine });
    await expect(loan.query(kept('SELECT nonsense'))).rejects.toMatchObject({
      code: '42703',
      message: 'column "nonsense" does not exist',
    });
    expect(await loan.query(divide, [1])).toEqual({ rows: [{ quotient: 1 }], changes: 0 });
    expect(database.isInTransaction()).toBe(false);
  });

  test('belongs to the transaction that it is in, which a failure ends', async () => {
    await database.exec('CREATE TABLE belongs (n int)');
    const insert = kept('INSERT INTO belongs VALUES (?)');
    const count = async (): Promise<unknown> =>
      (await database.query('SELECT count(*) AS rows FROM belongs')).rows[0];
    const loan = await connect();
    onTestFinished(() => loan.release());
    await loan.query('BEGIN');
    expect(await loan.query(insert, [1])).toEqual({ rows: [], changes: 1 });
    await expect(loan.query(insert, ['no number'])).rejects.toMatchObject({ code: '22P02' });
    await expect(loan.query(insert, [2])).rejects.toMatchObject({ code: '25P02' });
    await loan.query('ROLLBACK');
    expect(await count()).toEqual({ rows: 0 });
    await loan.query('BEGIN');
    await loan.query(insert, [3]);
    await loan.query('COMMIT');
    expect(await count()).toEqual({ rows: 1 });
    expect(await prepared()).toHaveLength(1);
  });

  test('waits for a transaction of the application instead of joining it', async () => {
    await using store = openPostgres({ pool: database }, { prefix: 'foreign_' });
    const session = store.session('a');
    await session.addItems([message('before')]);
    await database.exec('CREATE TABLE foreign_rows (n int)');
    for (let round = 1; round <= 20; round++) {
      const order: string[] = [];
      const foreign = database.transaction(async (transaction) => {
        for (let n = 0; n < round % 4; n++) await transaction.query('INSERT INTO foreign_rows VALUES (1)');
        order.push('rolls back');
        await transaction.rollback();
      });
      // One tick more each round, to meet the transaction at another moment of its beginning.
      for (let tick = 0; tick < round; tick++) await Promise.resolve();
      await Promise.all([foreign, session.addItems([message(`round ${round}`)])]);
    }
    expect(await session.getItems()).toHaveLength(21);
    expect((await database.query('SELECT 1 FROM foreign_rows')).rows).toEqual([]);
  });

  test('writes to the file system of PGlite, like a query', async () => {
    await using store = openPostgres({ pool: database }, { prefix: 'files_' });
    await store.session('a').addItems([message('one')]);
    const synced = vi.spyOn(database, 'syncToFs');
    await store.session('a').addItems([message('two')]);
    expect(synced).toHaveBeenCalledTimes(1);
    synced.mockRestore();
  });

  test('reaches the listeners of PGlite when it notifies', async () => {
    const heard: string[] = [];
    const stop = await database.listen('kept', (payload) => heard.push(payload));
    await (await connect()).query(kept('SELECT pg_notify(?, ?)'), ['kept', 'news']);
    await stop();
    expect(heard).toEqual(['news']);
  });

  test('is not run on a database that was closed', async () => {
    const closing = await emptyPGlite();
    const store = openPostgres({ pool: closing });
    await store.session('a').addItems([message('one')]);
    await closing.close();
    await expect(store.session('a').getItems()).rejects.toMatchObject({
      code: 'ERR_STORE',
      cause: expect.objectContaining({ message: 'PGlite is closed' }) as Error,
    });
  });

  test('is an ordinary statement on a database that speaks no protocol', async () => {
    const pool: PGliteLike = {
      query: (sql, values) => database.query(sql, values),
      transaction: (work) => database.transaction(work),
      listen: (channel, listener) => database.listen(channel, listener),
      close: () => database.close(),
    };
    await using store = openPostgres({ pool }, { prefix: 'plain_' });
    const session = store.session('a');
    await session.addItems([message('one'), message('two')]);
    expect(await session.popItem()).toEqual(message('two'));
    expect(await session.getItems()).toEqual([message('one')]);
    expect(await prepared()).toEqual([]);
  });
});

describe('values of a prepared statement in PGlite', () => {
  /** What a statement says when it is kept, which is what it says when it is not. */
  async function answer(sql: string, values: readonly SqlValue[]): Promise<SqlResult> {
    const loan = await connect();
    const result = await loan.query(kept(sql), values);
    expect(result).toEqual(await loan.query(sql, values));
    return result;
  }

  const TEXTS = [
    '',
    'NULL',
    'null',
    'it\'s "quoted" \\ back\\\\slashed',
    '{a,b}',
    ' spaces ',
    '\u0001\u001f\u007f\u00a0\ufeff\ufffe',
    'ümlaut 漢字 🙂 e\u0301',
    '\\u0000 \\x00',
    'line\r\nbreak\ttab',
  ];

  test.each(TEXTS)('text comes back as it was sent: %j', async (text) => {
    expect((await answer('SELECT ?::text AS value', [text])).rows).toEqual([{ value: text }]);
  });

  test('an unpaired surrogate is sent as the replacement character', async () => {
    expect((await answer('SELECT ?::text AS value', ['a\ud83db'])).rows).toEqual([{ value: 'a\ufffdb' }]);
  });

  test('a megabyte of text and of bytes comes back as it was sent', async () => {
    const text = 'aé漢🙂'.repeat(100_000);
    const bytes = Uint8Array.from({ length: 1_000_000 }, (_, index) => index % 256);
    const loan = await connect();
    const { rows } = await loan.query(kept('SELECT ?::text AS text, ?::bytea AS bytes'), [text, bytes]);
    expect(rows[0]?.['text'] === text).toBe(true);
    expect(rows[0]?.['bytes']).toBeInstanceOf(Uint8Array);
    expect(Buffer.compare(rows[0]?.['bytes'] as Uint8Array, bytes)).toBe(0);
  });

  test('bytes, numbers and nothing come back as they were sent', async () => {
    const values = [
      new Uint8Array([0, 255, 92, 39]),
      new Uint8Array(),
      null,
      Number.MAX_SAFE_INTEGER,
      -1,
      0.5,
      null,
    ];
    const { rows } = await answer(
      `SELECT ?::bytea AS bytes, ?::bytea AS empty, ?::bytea AS none, ?::bigint AS big, ?::int AS int,
         ?::float8 AS float, ?::text AS nothing, true AS yes, 1 = 2 AS no`,
      values,
    );
    const [bytes, empty] = values;
    expect(rows).toEqual([
      {
        bytes,
        empty,
        none: null,
        big: Number.MAX_SAFE_INTEGER,
        int: -1,
        float: 0.5,
        nothing: null,
        yes: true,
        no: false,
      },
    ]);
  });

  test('lists come back as they were sent, with every text and null', async () => {
    const { rows } = await answer('SELECT t, n FROM unnest(?::text[], ?::bigint[]) AS u (t, n)', [
      [...TEXTS, null],
      [...TEXTS.map((_, index) => index), null],
    ]);
    expect(rows).toEqual([...TEXTS.map((t, n) => ({ t, n })), { t: null, n: null }]);
    expect((await answer('SELECT unnest(?::text[]) AS t', [[]])).rows).toEqual([]);
  });

  test('text that the database cannot hold is refused and not cut', async () => {
    const loan = await connect();
    await expect(loan.query(kept('SELECT ?::text AS value'), ['a\u0000b'])).rejects.toMatchObject({
      code: '22021',
    });
  });

  test('rows that were changed are counted', async () => {
    await database.exec('CREATE TABLE counted (n int)');
    expect(await answer('INSERT INTO counted SELECT generate_series(1, ?)', [5])).toEqual({
      rows: [],
      changes: 5,
    });
    const loan = await connect();
    expect((await loan.query(kept('UPDATE counted SET n = n WHERE n < ?'), [3])).changes).toBe(4);
    const deleted = await loan.query(kept('DELETE FROM counted WHERE n = ? RETURNING n'), [1]);
    expect(deleted).toEqual({ rows: [{ n: 1 }, { n: 1 }], changes: 2 });
    expect((await loan.query(kept('SELECT n FROM counted'))).changes).toBe(0);
  });
});
