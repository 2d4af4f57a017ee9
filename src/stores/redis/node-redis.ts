import { NotSentError, type RedisArgument, type SendCommand } from './client.ts';
import { keyOf, slotOf } from './slot.ts';
import { AT_ONCE, type CommandOptions } from './unsent.ts';

/** The part of a client of `createClient` of `redis` (node-redis) that is used. */
export interface NodeRedisClient {
  withTypeMapping(mapping: Record<number, unknown>): {
    sendCommand(command: readonly RedisArgument[], options?: object): Promise<unknown>;
  };
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
}

/** The part of a client of `createCluster` of `redis` that is used. */
export interface NodeRedisCluster {
  withTypeMapping(mapping: Record<number, unknown>): {
    sendCommand(key: RedisArgument, isReadonly: boolean, command: RedisArgument[]): Promise<unknown>;
  };
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
  readonly slots: readonly ({ readonly master: NodeRedisClusterNode } | undefined)[];
  readonly masters: readonly NodeRedisClusterNode[];
  nodeClient(node: never): Promise<NodeRedisClient>;
}

/** A node as {@link NodeRedisCluster} knows it. */
export interface NodeRedisClusterNode {
  readonly client?: { readonly isReady: boolean } | undefined;
}

/** The type of a bulk string in RESP, `RESP_TYPES.BLOB_STRING` of node-redis. */
const BLOB_STRING = 36;

export function isNodeCluster(client: object): client is NodeRedisCluster {
  return 'nodeClient' in client;
}

/** @param options For each command, if the client is to have others than its own. */
export function nodeCommands(
  client: NodeRedisClient,
  options?: (until: number | undefined) => CommandOptions,
): SendCommand {
  const binary = client.withTypeMapping({ [BLOB_STRING]: Buffer });
  return (command, until) => binary.sendCommand(command, options?.(until));
}

/** For a client of ours (see `ownOptions`). */
export function ownCommands(client: NodeRedisClient): SendCommand {
  return nodeCommands(client, () => AT_ONCE);
}

/**
 * The client follows a slot that has moved. It gets no command for a node without a connection: it would queue the
 * command until the node is back, and fail it after a failover, when it is unknown that it was never sent.
 */
export function nodeClusterCommands(cluster: NodeRedisCluster): SendCommand {
  const binary = cluster.withTypeMapping({ [BLOB_STRING]: Buffer });
  const assertReady = (node: NodeRedisClusterNode | undefined): void => {
    if (node === undefined) throw new NotSentError('No node of the cluster serves the slot.');
    if (node.client?.isReady === false) throw new NotSentError('The node of the slot has no connection.');
  };
  const send = async (command: readonly RedisArgument[]): Promise<unknown> => {
    const key = keyOf(command);
    assertReady(cluster.slots[slotOf(key)]?.master);
    // Replicas can lack acknowledged writes.
    return await binary.sendCommand(key, false, [...command]);
  };
  const primaries = (): Promise<SendCommand[]> =>
    Promise.all(
      cluster.masters.map(async (node) => {
        assertReady(node);
        return nodeCommands(await cluster.nodeClient(node as never));
      }),
    );
  return Object.assign(send, { primaries });
}
