import type { AgentInputItem } from '@openai/agents';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openMysql, type Password } from '../../src/stores/mysql.ts';
import { dropMysqlTables } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const { url, absent } = await announce('MariaDB', 'openMysql with a password provider');

describe.skipIf(absent)('openMysql with a password provider', () => {
  const prefix = `${uniqueName('rotating')}_`;
  const user = uniqueName('app');
  let admin: Connection;
  let target: URL;
  beforeAll(async () => {
    admin = await createConnection(url);
    await admin.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'first'`);
    target = new URL(url);
    await admin.query(`GRANT ALL ON ${target.pathname.slice(1)}.* TO ${user}@'%'`);
    target.username = user;
    target.password = '';
  });
  afterAll(async () => {
    await admin.query(`DROP USER ${user}@'%'`);
    await admin.end();
    await dropMysqlTables(url, prefix);
  });

  const changePassword = (password: string): Promise<unknown> =>
    admin.query(`ALTER USER ${user}@'%' IDENTIFIED BY '${password}'`);
  const connections = async (): Promise<number[]> => {
    const [rows] = await admin.query<RowDataPacket[]>(
      'SELECT id FROM information_schema.processlist WHERE user = ?',
      [user],
    );
    return rows.map((row) => Number(row['id']));
  };

  test('keeps working while the password of its user changes under traffic', async () => {
    let password = 'first';
    let expiresAt = Date.now() + 60_000;
    let asked = 0;
    await using store = openMysql(target.href, {
      prefix,
      maxConnections: 4,
      password: async () => {
        asked++;
        return Promise.resolve({ password, expiresAt });
      },
    });
    const stop = new AbortController();
    let written = 0;
    const traffic = Array.from({ length: 4 }, async (_, writer) => {
      for (let call = 0; !stop.signal.aborted; call++) {
        await store.session(`writer ${writer}`).addItems([message(String(call))]);
        written++;
      }
    });
    const more = async (): Promise<void> => {
      const goal = written + 20;
      await vi.waitUntil(() => written >= goal, 30_000);
    };
    await more();
    expect(asked).toBe(1);
    const before = await connections();
    await changePassword('second');
    password = 'second';
    expiresAt = Date.now() + 120_000;
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    try {
      // What was opened with the first password is thrown away, and new ones are opened with the second.
      await vi.waitUntil(async () => (await connections()).every((id) => !before.includes(id)), 30_000);
      await more();
    } finally {
      stop.abort();
      vi.useRealTimers();
      await Promise.all(traffic);
    }
    expect(asked).toBe(2);
    let items = 0;
    for await (const summary of store.sessions()) items += summary.items;
    expect(items).toBe(written);
  });

  test('asks for a password without an expiry again when the server refuses it, once for many connections', async () => {
    await changePassword('third');
    const given: Password[] = ['stale', 'third'];
    let asked = 0;
    await using store = openMysql(target.href, {
      prefix,
      maxConnections: 4,
      password: () => given[Math.min(asked++, 1)] as Password,
    });
    await Promise.all(
      Array.from({ length: 8 }, (_, n) => store.session(`refused ${n}`).addItems([message('x')])),
    );
    expect(asked).toBe(2);
  });

  test('says that a password is wrong, without showing it', async () => {
    await using store = openMysql(target.href, { prefix, password: () => 'hunter2' });
    const error = await store.ping().catch((failure: unknown) => failure as Error);
    expect(error).toMatchObject({
      code: 'ERR_STORE',
      message:
        'openMysql: the database refused the user or the password. Nothing was written. See the cause.',
    });
    expect(String((error as Error).cause)).not.toContain('hunter2');
  });

  test('refuses a password that is not a function, and one for a pool that has its own', () => {
    const refused = (message: string): Error =>
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }) as Error;
    expect(() => openMysql(target.href, { password: 'hunter2' as never })).toThrow(
      refused('openMysql: password must be a function that returns the password, got a string.'),
    );
    const pool = { getConnection: () => undefined, end: () => undefined } as never;
    expect(() => openMysql({ pool }, { password: () => 'x' })).toThrow(
      refused('openMysql: the option password is for a URL'),
    );
  });
});
