import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { encrypt, expire, generateKey, keyring, wrapStore } from '../../src/index.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from '../stores/cleaning.ts';
import { openStore } from '../stores/open-store.ts';
import { announce, uniqueName, type ServerName } from '../stores/servers.ts';
import { linesOf, projectWith } from '../support/built-cli.ts';

/** How the configuration opens a store under a name of its own, and what it leaves behind. */
interface Case {
  readonly open: string;
  readonly clean: (url: string, name: string) => Promise<void>;
  /** Removes an index; its name in the report of doctor. */
  readonly drop?: (url: string, name: string) => Promise<string>;
}

const CASES: Readonly<Record<ServerName, Case>> = {
  PostgreSQL: {
    open: `import { openPostgres } from 'strongroom/postgres';
      const open = () => openPostgres(process.env.URL, { schema: process.env.NAME });`,
    clean: dropPostgresSchema,
    async drop(url, name) {
      const client = new Client(url);
      await client.connect();
      await client.query(`DROP INDEX "${name}".strongroom_sessions_root`);
      await client.end();
      return 'strongroom_sessions_root';
    },
  },
  MariaDB: {
    open: `import { openMysql } from 'strongroom/mysql';
      const open = () => openMysql(process.env.URL, { prefix: process.env.NAME + '_' });`,
    clean: (url, name) => dropMysqlTables(url, `${name}_`),
    async drop(url, name) {
      const connection = await createConnection(url);
      await connection.query(`DROP INDEX by_root ON ${name}_sessions`);
      await connection.end();
      return `${name}_sessions.by_root`;
    },
  },
  Redis: {
    open: `import { openRedis } from 'strongroom/redis';
      const open = () => openRedis(process.env.URL, { prefix: process.env.NAME });`,
    clean: deleteRedisKeys,
  },
};

const servers = await Promise.all(
  Object.entries(CASES).map(async ([name, how]) => {
    const { url, absent } = await announce(name as ServerName, 'the command line');
    return { server: name, url, absent, ...how };
  }),
);

describe.each(servers)('the command line over $server', ({ url, absent, open, clean, drop }) => {
  const name = uniqueName('cli');
  const env = { URL: url, NAME: name };
  afterAll(async () => {
    if (!absent) await clean(url, name);
  });

  it.skipIf(absent)('lists, rotates, checks, purges and erases', async () => {
    const project = await projectWith(`
      import { encrypt, expire } from 'strongroom';
      import { defineConfig } from 'strongroom/config';
      ${open}
      export default defineConfig({
        store: open,
        keys: { current: { file: 'new.json' }, previous: [{ file: 'old.json' }] },
        layers: ({ keys }) => [expire({ after: '30d' }), encrypt({ keys })],
        retention: { expired: true },
        run: { tracingDisabled: true, modelSettings: { store: false } },
      });`);
    const old = await generateKey();
    await project.write('old.json', JSON.stringify(old));
    await project.write('new.json', JSON.stringify(await generateKey()));
    await using base = openStore(url, name);
    const store = wrapStore(base, [expire({ after: '30d' }), encrypt({ keys: keyring({ current: old }) })]);
    for (const id of ['one', 'two'])
      await store.session(id, { subject: 'person-7' }).addItems([{ role: 'user', content: 'Hello' }]);

    const linesFrom = async (...args: string[]): Promise<unknown[]> =>
      linesOf((await project.run(args, { env })).stdout);
    expect((await linesFrom('sessions')).at(-1)).toMatchObject({ event: 'sum', sessions: 2, items: 2 });
    expect(await linesFrom('rotate')).toMatchObject([
      { event: 'result', rewrapped: 2, failed: 0 },
      { event: 'key', dataKeys: 2 },
      { event: 'unused', kid: old.kid },
    ]);
    expect((await linesFrom('verify')).at(-1)).toMatchObject({ records: 2, failed: 0 });
    const dropped = await drop?.(url, name);
    const findings = (await linesFrom('doctor')).filter((line) => JSON.stringify(line).includes('indexes'));
    const missing =
      dropped === undefined ? [] : [`: ${dropped}. Lists, purges and erasures read whole tables.`];
    expect(findings).toHaveLength(missing.length);
    for (const text of missing) expect(JSON.stringify(findings)).toContain(text);
    expect(await linesFrom('purge', '--yes')).toMatchObject([{ event: 'result', expired: { items: 0 } }]);
    expect((await linesFrom('erase', '--subject', 'person-7', '--yes')).at(-1)).toMatchObject({
      event: 'result',
      sessions: 2,
      orphans: 0,
    });
    expect((await linesFrom('sessions')).at(-1)).toMatchObject({ sessions: 0 });
  });
});
