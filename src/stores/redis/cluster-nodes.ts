import { closedError } from '../failure.ts';
import { inTime } from '../in-time.ts';
import type { SendCommand } from './client.ts';
import { addressOf, withAddress } from './cluster-address.ts';
import type { Source } from './connection-source.ts';

const WHERE = 'openRedis';
/**
 * Milliseconds that a node has to return the slots; and to answer before other nodes are asked whether it still has
 * its own.
 */
export const PATIENCE = 1_000;

/** One node: its own connection, made when a command is sent there. */
export interface Node {
  readonly source: Source;
  connect(): Promise<SendCommand>;
  /** The one that was made last. */
  connection?: SendCommand;
}

/** The connected nodes of a cluster, and the known addresses. */
export interface Nodes {
  /** @throws `ERR_CLOSED` after {@link Nodes.close}, for a node that is not connected. */
  at(address: string): Node;
  /** Those of connected nodes, then the given ones, each in random order. */
  addresses(): Set<string>;
  /** Closes the connections to nodes that are not primaries. */
  retire(primaries: ReadonlySet<string>): void;
  /** Abandons each node that does not answer now. */
  abandonSilent(): void;
  onConnection(called: () => void): void;
  isClosed(): boolean;
  close(): Promise<void>;
}

/**
 * @param urls Of some of them; the others have the same user, password and encryption.
 * @param open Makes the connection to one node.
 */
export function clusterNodes(urls: readonly string[], open: (url: string) => Source): Nodes {
  const seeds = new Map(urls.map((url) => [addressOf(new URL(url)), url]));
  const nodes = new Map<string, Node>();
  let isClosed = false;
  let made = (): void => undefined;

  function at(address: string): Node {
    const known = nodes.get(address);
    if (known !== undefined) return known;
    if (isClosed) throw closedError(WHERE);
    const source = open(seeds.get(address) ?? withAddress(urls[0] as string, address));
    source.onConnection(() => made());
    const node: Node = { source, connect: async () => (node.connection = await source.connect()) };
    nodes.set(address, node);
    return node;
  }

  /** Commands in flight on a node that is no longer a primary get some time to end. */
  function retire(primaries: ReadonlySet<string>): void {
    for (const [address, { source, connection }] of nodes) {
      if (primaries.has(address)) continue;
      nodes.delete(address);
      inTime(source.close(), PATIENCE, () => source.abandon(connection)).catch(() => undefined);
    }
  }

  return {
    at,
    addresses: () => new Set([...shuffled(nodes.keys()), ...shuffled(seeds.keys())]),
    retire,
    abandonSilent() {
      for (const { source, connection: used } of nodes.values()) {
        if (used === undefined) source.abandon(undefined);
        else inTime(used(['PING']), PATIENCE, () => source.abandon(used)).catch(() => undefined);
      }
    },
    onConnection(called) {
      made = called;
    },
    isClosed: () => isClosed,
    async close() {
      isClosed = true;
      await Promise.all([...nodes.values()].map(({ source }) => source.close()));
    },
  };
}

function shuffled(addresses: Iterable<string>): string[] {
  return [...addresses]
    .map((address) => ({ address, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ address }) => address);
}
