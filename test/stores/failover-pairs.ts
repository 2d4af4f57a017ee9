import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { ownServer, type OwnServer } from './own-server.ts';
import { startProxy, type Proxy } from './proxy.ts';
import type { ServerName } from './servers.ts';

/** A primary and its replica behind one address. Failovers are planned ones: what the primary acknowledged is not lost. */
export interface Pair {
  /** The address: that of a proxy, which leads to the primary. */
  readonly proxy: Proxy;
  primary(): string;
  replica(): string;
  /** @param cuts Whether the address cuts the connections that exist, or leaves them to the old primary. */
  failOver(options: { readonly cuts: boolean }): Promise<void>;
  destroy(): Promise<void>;
}

export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let attempt = 0; !(await condition()); attempt++) {
    if (attempt === 3_000) throw new Error(`This did not come to be: ${what}`);
    await delay(20);
  }
}

export const PAIRS: Readonly<Record<ServerName, () => Promise<Pair>>> = {
  Redis: redisPair,
  PostgreSQL: postgresPair,
  MariaDB: mariadbPair,
};

export async function askRedis(url: string, ...command: string[]): Promise<unknown> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}

async function redisPair(): Promise<Pair> {
  const start = async (): Promise<OwnServer> => {
    const server = await ownServer('Redis', { settings: ['--repl-diskless-sync-delay', '0'] });
    await server.start();
    return server;
  };
  let [primary, replica] = await Promise.all([start(), start()]);
  const info = async ({ url }: OwnServer): Promise<string> =>
    String(await askRedis(url, 'INFO', 'replication'));
  const follows = (): Promise<void> =>
    until(async () => (await info(replica)).includes('master_link_status:up'), 'the replica follows');
  await askRedis(replica.url, 'REPLICAOF', '127.0.0.1', new URL(primary.url).port);
  await follows();
  const proxy = await startProxy(primary.url);
  return {
    proxy,
    primary: () => primary.url,
    replica: () => replica.url,
    async failOver({ cuts }) {
      await askRedis(primary.url, 'FAILOVER', 'TO', '127.0.0.1', new URL(replica.url).port);
      await until(async () => (await info(primary)).includes('role:slave'), 'the primary is a replica');
      [primary, replica] = [replica, primary];
      proxy.pointTo(primary.url);
      if (cuts) proxy.cut();
      await follows();
    },
    async destroy() {
      await proxy.close();
      await Promise.all([primary.destroy(), replica.destroy()]);
    },
  };
}

async function askPostgres(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** How often the end of the log is looked at, and for how long it has to stay where it is. Milliseconds. */
const LOOK_EVERY = 25;
const STILL_FOR = 400;

/**
 * The end of the log when nobody writes any more. Each connection takes up a new setting when it gets to it, which a busy
 * machine can delay: until then it writes, and what it writes is acknowledged.
 */
async function endOfLog(url: string): Promise<string> {
  let end = '';
  for (let still = 0; still < STILL_FOR; still += LOOK_EVERY) {
    const [row] = await askPostgres(url, 'SELECT pg_current_wal_lsn()::text AS at');
    const now = String(row?.['at']);
    if (now !== end) still = 0;
    end = now;
    await delay(LOOK_EVERY);
  }
  return end;
}

async function postgresPair(): Promise<Pair> {
  let primary = await ownServer('PostgreSQL');
  await primary.start();
  const standby = async (): Promise<OwnServer> => {
    const server = await ownServer('PostgreSQL', { replicaOf: primary.url });
    await server.start();
    return server;
  };
  let replica = await standby();
  const proxy = await startProxy(primary.url);
  const retired: OwnServer[] = [];
  return {
    proxy,
    primary: () => primary.url,
    replica: () => replica.url,
    async failOver({ cuts }) {
      if (retired.length > 0) replica = await standby();
      const old = primary;
      if (cuts) {
        // It ends when its standby has everything.
        await old.kill('SIGTERM');
      } else {
        // It goes on and takes no writes.
        await askPostgres(old.url, 'ALTER SYSTEM SET default_transaction_read_only = on');
        await askPostgres(old.url, 'SELECT pg_reload_conf()');
        const end = await endOfLog(old.url);
        await until(async () => {
          const sql = `SELECT pg_last_wal_replay_lsn() >= '${end}' AS there`;
          return (await askPostgres(replica.url, sql))[0]?.['there'] === true;
        }, 'the standby has everything');
      }
      await askPostgres(replica.url, 'SELECT pg_promote()');
      await askPostgres(replica.url, 'ALTER SYSTEM RESET default_transaction_read_only');
      primary = replica;
      proxy.pointTo(primary.url);
      if (cuts) proxy.cut();
      retired.push(old);
    },
    async destroy() {
      await proxy.close();
      await Promise.all([...new Set([primary, replica, ...retired])].map((server) => server.destroy()));
    },
  };
}

export async function askMariadb(url: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const connection = await createConnection(url);
  try {
    let rows: unknown;
    for (const statement of statements) [rows] = await connection.query(statement);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  } finally {
    await connection.end();
  }
}

async function mariadbPair(): Promise<Pair> {
  const start = async (id: number): Promise<OwnServer> => {
    const settings = ['--log-bin', `--server-id=${id}`];
    const server = await ownServer('MariaDB', { settings });
    await server.start();
    return server;
  };
  let [primary, replica] = await Promise.all([start(1), start(2)]);
  const follow = async (server: OwnServer, other: OwnServer, position: string): Promise<void> => {
    const { port } = new URL(other.url);
    await askMariadb(
      server.url,
      'SET GLOBAL read_only = 1',
      `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${port}, MASTER_USER = 'root',
        MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = ${position}`,
      'START SLAVE',
    );
  };
  await follow(replica, primary, 'slave_pos');
  // Administrators may write where nobody else may.
  await askMariadb(primary.url, "CREATE USER app@'%' IDENTIFIED BY 'app'", "GRANT ALL ON test.* TO app@'%'");
  const app = (url: string): string => url.replace('root@', 'app:app@');
  const proxy = await startProxy(app(primary.url));
  return {
    proxy,
    primary: () => app(primary.url),
    replica: () => app(replica.url),
    async failOver({ cuts }) {
      const [row] = await askMariadb(
        primary.url,
        'SET GLOBAL read_only = 1',
        'SELECT @@gtid_binlog_pos AS position',
      );
      const position = String(row?.['position']);
      const [waited] = await askMariadb(replica.url, `SELECT MASTER_GTID_WAIT('${position}', 60) AS waited`);
      if (waited?.['waited'] !== 0) throw new Error('The replica does not follow.');
      await askMariadb(replica.url, 'STOP SLAVE', 'RESET SLAVE ALL', 'SET GLOBAL read_only = 0');
      [primary, replica] = [replica, primary];
      proxy.pointTo(primary.url);
      if (cuts) proxy.cut();
      await follow(replica, primary, 'current_pos');
    },
    async destroy() {
      await proxy.close();
      await Promise.all([primary.destroy(), replica.destroy()]);
    },
  };
}
