import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { createClient } from 'redis';
import { ownServer, type OwnServer } from './own-server.ts';

/** A server with a replica that takes its place. */
export interface ReplicatedServer {
  /** Of the one that takes writes. It is another one after a failover. */
  readonly url: string;
  /**
   * The replica takes over, and gets a replica of its own. Nothing that was acknowledged is lost: a commit of PostgreSQL waits for the
   * replica, and Redis hands over in order.
   *
   * @param moved Called as soon as `url` is another one.
   * @param planned Whether the server ends in order, or is killed. Redis always hands over in order.
   */
  failOver(moved: (url: string) => void, planned: boolean): Promise<void>;
  destroy(): Promise<void>;
}

/** Every commit waits until the replica has it on its disk. */
const SYNCHRONOUS = ['-c', 'synchronous_standby_names=*', '-c', 'synchronous_commit=on'];

async function postgresPair(): Promise<ReplicatedServer> {
  const settings = SYNCHRONOUS;
  const start = async (replicaOf?: string): Promise<OwnServer> => {
    const server = await ownServer('PostgreSQL', { settings, ...(replicaOf !== undefined && { replicaOf }) });
    await server.start();
    return server;
  };
  let primary = await start();
  let replica = await start(primary.url);
  return {
    get url() {
      return primary.url;
    },
    async failOver(moved, planned) {
      await primary.kill(planned ? 'SIGTERM' : 'SIGKILL');
      await primary.destroy();
      const client = new Client(replica.url);
      await client.connect();
      await client.query('SELECT pg_promote(true)');
      await client.end();
      primary = replica;
      moved(primary.url);
      replica = await start(primary.url);
    },
    async destroy() {
      await replica.destroy();
      await primary.destroy();
    },
  };
}

async function redisPair(): Promise<ReplicatedServer> {
  let primary = await ownServer('Redis');
  await primary.start();
  let replica = await ownServer('Redis', { replicaOf: primary.url });
  await replica.start();
  return {
    get url() {
      return primary.url;
    },
    async failOver(moved) {
      const client = createClient({ url: primary.url });
      await client.connect();
      // It refuses to begin while the replica is still fetching everything.
      while (!(await client.info('replication')).includes('state=online')) await delay(50);
      await client.sendCommand(['FAILOVER', 'TO', '127.0.0.1', new URL(replica.url).port]);
      while (!(await client.info('replication')).includes('role:slave')) await delay(20);
      client.destroy();
      [primary, replica] = [replica, primary];
      moved(primary.url);
    },
    async destroy() {
      await replica.destroy();
      await primary.destroy();
    },
  };
}

export const replicatedServer: Readonly<Record<'PostgreSQL' | 'Redis', () => Promise<ReplicatedServer>>> = {
  PostgreSQL: postgresPair,
  Redis: redisPair,
};
