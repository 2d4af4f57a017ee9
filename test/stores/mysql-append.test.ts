import { createPool } from 'mysql2/promise';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { openMysql } from '../../src/stores/mysql.ts';
import { dropMysqlTables } from './cleaning.ts';
import { ownServer, withoutBinaries } from './own-server.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('MariaDB', 'appends in one statement');

describe.skipIf(absent)('an append to MariaDB', () => {
  const prefix = `${uniqueName('append')}_`;
  const message = (content: string): AgentInputItem => ({ role: 'user', content });
  afterAll(() => dropMysqlTables(url, prefix));

  test('is one statement, and several when it is long', async () => {
    const pool = createPool({ uri: url, connectionLimit: 1 });
    await using store = openMysql({ pool }, { prefix });
    const session = store.session('a');
    await session.addItems([message('first')]);
    const connection = await pool.getConnection();
    const query = vi.spyOn(connection.connection, 'query');
    const execute = vi.spyOn(connection.connection, 'execute');
    connection.release();
    await session.addItems([message('second'), message('third')]);
    expect(execute).toHaveBeenCalledTimes(1);
    expect(query).not.toHaveBeenCalled();
    await session.addItems(Array.from({ length: 501 }, (_, index) => message(`${index}`)));
    expect(query.mock.calls.length).toBeGreaterThan(2);
    expect((await session.getItems()).map((item) => 'content' in item && item.content)).toEqual([
      'first',
      'second',
      'third',
      ...Array.from({ length: 501 }, (_, index) => `${index}`),
    ]);
    await pool.end();
  });

  test('that is killed leaves no rows and no open transaction', async () => {
    const pool = createPool({ uri: url, connectionLimit: 1 });
    const admin = createPool({ uri: url, connectionLimit: 1 });
    await using store = openMysql({ pool }, { prefix });
    const session = store.session('killed');
    await session.addItems([message('before')]);
    const lock = await admin.getConnection();
    await lock.query('START TRANSACTION');
    await lock.query(`SELECT 1 FROM ${prefix}sessions WHERE id = 'killed' FOR UPDATE`);
    const refused = session.addItems([message('never')]).catch((error: unknown) => error);
    const waiting = await vi.waitFor(async () => {
      const [rows] = await lock.query(
        'SELECT id FROM information_schema.processlist WHERE state <> ? AND info LIKE ?',
        ['', `UPDATE%${prefix}sessions%`],
      );
      const [row] = rows as { id: number }[];
      if (row === undefined) throw new Error('not there yet');
      return row.id;
    });
    await lock.query('KILL QUERY ?', [waiting]);
    expect(await refused).toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('Nothing was written') as string,
    });
    await lock.query('ROLLBACK');
    const [open] = await pool.query('SELECT @@in_transaction AS open');
    expect(open).toEqual([{ open: 0 }]);
    await session.addItems([message('after')]);
    expect(await session.getItems()).toEqual([message('before'), message('after')]);
    lock.release();
    await Promise.all([pool.end(), admin.end()]);
  });
});

describe.skipIf(withoutBinaries('MariaDB', 'a server that prepares nothing'))(
  'a MariaDB that prepares no statements',
  () => {
    test('gets the text of statements, and nothing is lost or written twice', async () => {
      const server = await ownServer('MariaDB', { settings: ['--max-prepared-stmt-count=0'] });
      try {
        await server.start();
        const pool = createPool({ uri: server.url, connectionLimit: 1 });
        await using store = openMysql({ pool });
        const session = store.session('a');
        const message = (content: string): AgentInputItem => ({ role: 'user', content });
        await session.addItems([message("it's \\ one"), message('two')]);
        await session.addItems([message('three')]);
        await session.popItem();
        expect(await session.getItems()).toEqual([message("it's \\ one"), message('two')]);
        expect(await session.getItems(1)).toEqual([message('two')]);
        await pool.end();
      } finally {
        await server.destroy();
      }
    }, 60_000);
  },
);
