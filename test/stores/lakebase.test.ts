import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { lakebase, openLakebase, type LakebaseClient } from '../../src/stores/lakebase.ts';
import { coded, failure } from '../crypto/failure.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';

const HOST = '127.0.0.1';
const message = (content: string) => ({ type: 'message', role: 'user', content }) as const;

/** Databricks, as far as its client of version 0.17 calls it; a token becomes the password of the role. */
function databricks(
  userName: string,
  host: string,
  {
    lifetime = 3_600_000,
    login,
  }: { readonly lifetime?: number; readonly login?: (token: string) => Promise<void> } = {},
): LakebaseClient & { readonly tokens: string[]; readonly asked: string[] } {
  const tokens: string[] = [];
  const asked: string[] = [];
  const instance = { name: 'agents', read_write_dns: host };
  return {
    tokens,
    asked,
    currentUser: { me: async () => ({ userName }) },
    database: {
      async getDatabaseInstance({ name }) {
        asked.push(`get ${name}`);
        if (name !== instance.name) throw new Error('no such instance');
        return instance;
      },
      async *listDatabaseInstances() {
        asked.push('list');
        yield { name: 'other', read_write_dns: 'other.example.com' };
        yield instance;
      },
      async generateDatabaseCredential({ request_id, instance_names }) {
        expect(request_id).toMatch(/^[\da-f-]{36}$/);
        expect(instance_names).toEqual(['agents']);
        const token = `token-${userName}-${tokens.length}-secret`;
        tokens.push(token);
        await login?.(token);
        return { token, expiration_time: new Date(Date.now() + lifetime).toISOString() };
      },
    },
  };
}

describe('the resolver', () => {
  const host = 'instance-1.database.example.com';

  it('finds host and role by the name of the instance, and asks for encryption and a checked certificate', async () => {
    const client = databricks('ada@example.com', host);
    const { url, password } = await lakebase({ client, instance: 'agents' });
    expect(url).toBe(
      'postgres://ada%40example.com@instance-1.database.example.com:5432/databricks_postgres?sslmode=verify-full',
    );
    expect(client.tokens).toEqual([]);
    expect(await password()).toEqual({ password: client.tokens[0], expiresAt: expect.any(Number) });
  });

  it('finds the instance by its host name, whatever its case', async () => {
    const client = databricks('ada', host);
    const { url } = await lakebase({
      client,
      instance: host.toUpperCase(),
      user: 'role',
      database: 'app',
      port: 6432,
    });
    expect(url).toBe(`postgres://role@${host}:6432/app?sslmode=verify-full`);
    expect(client.asked).toEqual(['list']);
    expect(await failure(() => lakebase({ client, instance: 'absent.example.com' }))).toEqual(
      coded('ERR_INVALID_OPTION', /no database instance has this host name/),
    );
  });

  it('takes the name from LAKEBASE_INSTANCE_NAME', async () => {
    const client = databricks('ada', host);
    expect(await failure(() => lakebase({ client }))).toEqual(
      coded('ERR_INVALID_OPTION', /Pass it, or set LAKEBASE_INSTANCE_NAME/),
    );
    vi.stubEnv('LAKEBASE_INSTANCE_NAME', 'agents');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await lakebase({ client })).url).toContain(host);
  });

  it('encrypts without a check of the certificate when it is told to', async () => {
    const client = databricks('ada', host);
    const { url } = await lakebase({
      client,
      instance: 'agents',
      sslmode: 'require',
      sslrootcert: '/ca.pem',
    });
    expect(new URL(url).search).toBe('?uselibpqcompat=true&sslmode=require&sslrootcert=%2Fca.pem');
  });

  it('gives one provider to a client and instance, and another to another client', async () => {
    const [one, other] = [databricks('ada', host), databricks('ada', host)];
    const provider = async (client: LakebaseClient): Promise<unknown> =>
      (await lakebase({ client, instance: 'agents' })).password;
    expect(await provider(one)).toBe(await provider(one));
    expect(await provider(one)).not.toBe(await provider(other));
  });

  it('says what Databricks refused, without the token', async () => {
    const client = databricks('ada', host);
    expect(await failure(() => lakebase({ client, instance: 'absent' }))).toEqual(
      coded('ERR_STORE', /Databricks did not give the database instance\..*See the cause/),
    );
    const nobody = { ...client, currentUser: { me: async () => ({}) } };
    expect(await failure(() => lakebase({ client: nobody, instance: 'agents' }))).toEqual(
      coded('ERR_INVALID_OPTION', /has no user name\. Pass the role/),
    );
    const database = {
      ...client.database,
      generateDatabaseCredential: async () => ({ token: 'secret-token' }),
    };
    const { password } = await lakebase({ client: { ...client, database }, instance: 'agents' });
    const error = await failure(async () => password());
    expect(error).toEqual(coded('ERR_STORE', /gave no token, or one without a time of expiry/));
    expect(String(error)).not.toContain('secret-token');
  });

  it('refuses what it does not know or understand', async () => {
    const client = databricks('ada', host);
    for (const [options, what] of [
      [{}, /client must be a WorkspaceClient/],
      [{ client, instances: 'a' }, /instances/],
      [{ client, instance: '' }, /instance must be/],
      [{ client, instance: 'agents', user: '' }, /user must be/],
      [{ client, instance: 'agents', port: 0 }, /port must be/],
      [{ client, instance: 'agents', database: '' }, /database must be/],
      [{ client, instance: 'agents', sslmode: 'disable' }, /sslmode must be/],
      [{ client, instance: 'agents', sslrootcert: '' }, /sslrootcert must be/],
    ] as const) {
      expect(await failure(() => lakebase(options as never))).toEqual(coded('ERR_INVALID_OPTION', what));
    }
    const pool = {} as Pool;
    expect(await failure(() => openLakebase({ pool, client }))).toEqual(
      coded('ERR_INVALID_OPTION', /a pool has its own connections, so client has no effect/),
    );
    expect(
      await failure(() => openLakebase({ client, instance: 'agents', password: () => 'x' } as never)),
    ).toEqual(coded('ERR_INVALID_OPTION', /the password is a token of the client/));
  });
});

describe.skipIf(withoutBinaries('PostgreSQL', 'Lakebase on PostgreSQL', ['openssl']))(
  'on a PostgreSQL',
  () => {
    let server: OwnServer;
    let owner: Pool;
    let folder: string;
    let ca: string;
    let port: number;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'strongroom-lakebase-'));
      chmodSync(folder, 0o755);
      ca = join(folder, 'cert.pem');
      const key = join(folder, 'key.pem');
      const subject = ['-subj', '/CN=lakebase', '-addext', `subjectAltName=IP:${HOST}`];
      const files = ['-keyout', key, '-out', ca, '-days', '2'];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject], {
        stdio: 'ignore',
      });
      chmodSync(ca, 0o644);
      if (process.getuid?.() === 0) execFileSync('chown', ['postgres', key]);
      const settings = ['-c', 'ssl=on', '-c', `ssl_cert_file=${ca}`, '-c', `ssl_key_file=${key}`];
      server = await ownServer('PostgreSQL', { settings });
      await server.start();
      owner = new Pool({ connectionString: server.url, max: 1 });
      port = Number(new URL(server.url).port);
      for (const role of ['ada', 'bob']) {
        await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'none'`);
        await owner.query(`GRANT CREATE ON DATABASE postgres TO ${role}`);
      }
    });
    afterAll(async () => {
      await owner?.end();
      await server?.destroy();
      rmSync(folder, { recursive: true, force: true });
    });

    const identity = (role: string, lifetime?: number) =>
      databricks(role, HOST, {
        ...(lifetime !== undefined && { lifetime }),
        login: async (token) => void (await owner.query(`ALTER ROLE ${role} PASSWORD '${token}'`)),
      });
    const options = (client: LakebaseClient) => ({
      client,
      instance: 'agents',
      database: 'postgres',
      port,
      sslrootcert: ca,
      schema: `of_${Math.random().toString(36).slice(2)}`,
    });
    const connections = async (role: string): Promise<number> =>
      (await owner.query('SELECT pid FROM pg_stat_activity WHERE usename = $1', [role])).rows.length;

    it('replaces the token three times under load, without a failed call', async () => {
      // Each token ends the one before it at once, which is stricter than Lakebase, where they overlap.
      const client = identity('ada', 300);
      await using store = await openLakebase({ ...options(client), maxConnections: 4 });
      await store.ping();
      const counts = await Promise.all(
        Array.from({ length: 6 }, async (_, number) => {
          const session = store.session(`user-${number}`);
          let written = 0;
          while (client.tokens.length < 5) {
            await session.addItems([message(String(written++))]);
            await session.getItems(1);
          }
          return written;
        }),
      );
      for (const [number, count] of counts.entries()) {
        const items = await store.session(`user-${number}`).getItems();
        expect(items).toEqual(Array.from({ length: count }, (_, index) => message(String(index))));
      }
      expect(client.tokens.length).toBeGreaterThanOrEqual(5);
    });

    it('asks for another token when one is refused before its time', async () => {
      const client = identity('ada');
      await using store = await openLakebase(options(client));
      await store.session('a').addItems([message('one')]);
      // The server reads the role's password before it asks for one, so the first token is refused here.
      const before = client.tokens.length;
      expect(before).toBe(2);
      // Another process of the same identity, and all connections are lost.
      await owner.query(`ALTER ROLE ada PASSWORD 'another'`);
      await owner.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ada'`);
      await vi.waitFor(async () => expect(await connections('ada')).toBe(0));
      await store.session('a').addItems([message('two')]);
      expect(await store.session('a').getItems()).toEqual([message('one'), message('two')]);
      expect(client.tokens.length).toBe(before + 1);
    });

    it('encrypts every connection', async () => {
      const client = identity('ada');
      await using store = await openLakebase(options(client));
      await store.ping();
      const { rows } = await owner.query(
        `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'ada'`,
      );
      expect(rows.length).toBeGreaterThan(0);
      expect(rows).toEqual(rows.map(() => ({ ssl: true })));
      // Without the authority the certificate is not trusted.
      const { sslrootcert: _, ...without } = options(client);
      await using stranger = await openLakebase(without);
      expect(await failure(() => stranger.ping())).toEqual(coded('ERR_STORE', /openPostgres/));
      await using lax = await openLakebase({ ...without, sslmode: 'require' });
      await lax.ping();
    });

    it('shares connections with stores of the same client, and not of another or when it is told not to', async () => {
      const [ada, bob] = [identity('ada'), identity('bob')];
      const shared = { ...options(ada), maxConnections: 1 };
      await using one = await openLakebase(shared);
      await using two = await openLakebase({ ...shared, schema: 'second' });
      await Promise.all([one.ping(), two.ping()]);
      expect(await connections('ada')).toBe(1);
      await using three = await openLakebase({ ...shared, sharePool: false });
      await three.ping();
      expect(await connections('ada')).toBe(2);
      await using other = await openLakebase({ ...options(bob), maxConnections: 1 });
      await other.session('a').addItems([message('of bob')]);
      expect([await connections('ada'), await connections('bob')]).toEqual([2, 1]);
      expect(await one.session('a').getItems()).toEqual([]);
    });

    it('takes a pool of the caller, and leaves it open', async () => {
      const pool = new Pool({ connectionString: server.url, max: 1 });
      const store = await openLakebase({ pool, schema: 'of_pool' });
      await store.session('a').addItems([message('one')]);
      await store.close();
      expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      await pool.end();
    });

    it('shows no token in an error', async () => {
      const client = databricks('ada', HOST, { login: async () => undefined });
      await using store = await openLakebase(options(client));
      const error = (await failure(() => store.ping())) as Error;
      expect(error).toEqual(coded('ERR_STORE', /openPostgres/));
      expect(client.tokens).toHaveLength(3);
      const shown = `${error.stack} ${(error.cause as Error).stack} ${JSON.stringify(error.cause)}`;
      for (const token of client.tokens) expect(shown).not.toContain(token);
    });
  },
);
