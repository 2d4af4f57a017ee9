import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createClient } from 'redis';
import { vi } from 'vitest';
import { freePort, ownServer, withoutBinaries, type OwnServer } from './own-server.ts';

const run = promisify(execFile);

/** One server of a cluster, and what it says of itself. */
export interface ClusterNode extends OwnServer {
  readonly address: string;
  /** Sends one command to this server alone. */
  ask(...command: string[]): Promise<unknown>;
}

/** A Redis Cluster of a test's own. */
export interface OwnCluster {
  readonly nodes: readonly ClusterNode[];
  /** One for each server. */
  readonly urls: readonly string[];
  /** The server that has the slot of this key now. */
  ownerOf(key: string): Promise<ClusterNode>;
  /** The primaries of now. */
  primaries(): Promise<ClusterNode[]>;
  /** The keys of all primaries that match. */
  keys(pattern: string): Promise<string[]>;
  /** Moves so many slots from one server to another, as an operator would. */
  reshard(from: ClusterNode, to: ClusterNode, slots: number): Promise<void>;
  /** Resolves when every server agrees, and every replica has a primary. */
  settled(): Promise<void>;
  destroy(): Promise<void>;
}

/** Options of {@link ownCluster}. */
export interface OwnClusterOptions {
  /** Of each of the three primaries. Default 0. */
  readonly replicas?: number;
  /** What each server is told besides, in its own words. */
  readonly settings?: readonly string[];
}

export async function ownCluster({
  replicas = 0,
  settings = [],
}: OwnClusterOptions = {}): Promise<OwnCluster> {
  const nodes = await Promise.all(
    Array.from({ length: 3 * (1 + replicas) }, async () => {
      const server = await ownServer('Redis', {
        settings: [
          '--cluster-enabled',
          'yes',
          '--cluster-node-timeout',
          '500',
          // Its default is its port and 10000, which somebody else may have, or which is none.
          '--cluster-port',
          String(await freePort()),
          ...settings,
        ],
      });
      await server.start();
      const { host: address } = new URL(server.url);
      return { ...server, address, ask: (...command: string[]) => ask(server.url, command) };
    }),
  );
  await cli('create', ...nodes.map(({ address }) => address), '--cluster-replicas', String(replicas));

  const primaries = async (): Promise<ClusterNode[]> => {
    const table = await slotTable(nodes);
    return nodes.filter(({ address }) => table.some((range) => range.address === address));
  };
  const cluster: OwnCluster = {
    nodes,
    urls: nodes.map(({ url }) => url),
    primaries,
    async ownerOf(key) {
      const slot = await (nodes.at(-1) as ClusterNode).ask('CLUSTER', 'KEYSLOT', key);
      const range = (await slotTable(nodes)).find(
        ({ from, to }) => from <= Number(slot) && to >= Number(slot),
      );
      return nodes.find(({ address }) => address === range?.address) as ClusterNode;
    },
    keys: async (pattern) =>
      (await Promise.all((await primaries()).map((node) => node.ask('KEYS', pattern)))).flat() as string[],
    async reshard(from, to, slots) {
      const ids = await Promise.all([from, to].map((node) => node.ask('CLUSTER', 'MYID')));
      const [source = '', target = ''] = ids.map(String);
      await cli(
        'reshard',
        from.address,
        '--cluster-from',
        source,
        '--cluster-to',
        target,
        '--cluster-slots',
        String(slots),
      );
    },
    async settled() {
      // Each server learns of the others by gossip.
      await vi.waitUntil(
        async () => {
          const states = await Promise.all(nodes.map((node) => askUnlessLoading(node, 'CLUSTER', 'INFO')));
          const replicating = await Promise.all(
            nodes.map((node) => askUnlessLoading(node, 'INFO', 'replication')),
          );
          return (
            states.every((state) => String(state).includes('cluster_state:ok')) &&
            replicating.filter((info) => String(info).includes('master_link_status:up')).length ===
              3 * replicas
          );
        },
        { timeout: 30_000, interval: 50 },
      );
    },
    async destroy() {
      await Promise.all(nodes.map((node) => node.destroy()));
    },
  };
  await cluster.settled();
  return cluster;
}

function cli(...args: string[]): Promise<unknown> {
  return run('redis-cli', ['--cluster', ...args, '--cluster-yes'], { timeout: 60_000 });
}

async function ask(url: string, command: readonly string[]): Promise<unknown> {
  const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false, connectTimeout: 60_000 } });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await client.sendCommand([...command]);
  } finally {
    client.destroy();
  }
}

/** `undefined` while the server loads its data, or as a replica those of its primary: then it answers no command. */
async function askUnlessLoading(node: ClusterNode, ...command: string[]): Promise<unknown> {
  return node.ask(...command).catch((error: Error) => {
    if (!error.message.startsWith('LOADING')) throw error;
  });
}

interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly address: string;
}

/** Of the first server that answers and knows an owner for every slot. */
async function slotTable(nodes: readonly ClusterNode[]): Promise<SlotRange[]> {
  for (const node of nodes) {
    try {
      const table = (await node.ask('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
      return table.map(([from, to, [host, port]]) => ({ from, to, address: `${host}:${port}` }));
    } catch {
      // It was killed.
    }
  }
  throw new Error('No server of the cluster answers.');
}

/** Whether there are no programs for one, said loudly; in CI that is a failure. */
export function withoutCluster(what: string): boolean {
  return withoutBinaries('Redis', what, ['redis-cli']);
}
