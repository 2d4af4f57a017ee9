import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { openRedis, type RedisOptions } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';

/** A store over a cluster, by one of the clients that there are. Closing it ends the client. */
export type OpenCluster = (urls: readonly string[], options?: RedisOptions) => Promise<Store<StoreSession>>;

function owning(store: Store<StoreSession>, end: () => void): Store<StoreSession> {
  const close = async (): Promise<void> => {
    await store.close();
    end();
  };
  return { ...store, close, [Symbol.asyncDispose]: close };
}

/** Each with the options that its package has by default, unless it would wait for seconds. */
export const CLUSTER_CLIENTS: readonly (readonly [name: string, open: OpenCluster])[] = [
  ['URLs', (urls, options) => Promise.resolve(openRedis(urls, options))],
  [
    'a client of createCluster',
    async (urls, options) => {
      const client = createCluster({
        rootNodes: urls.map((url) => ({ url })),
        topologyRefreshOnReconnectionAttemptStrategy: 200,
        // Five seconds by default, which a process of a busy machine may not get.
        defaults: { socket: { connectTimeout: 60_000 } },
      });
      client.on('error', () => undefined);
      await client.connect();
      return owning(openRedis({ client: client as never }, options), () => client.destroy());
    },
  ],
  [
    'a client of Cluster of ioredis',
    (urls, options) => {
      const client = new Cluster([...urls]);
      client.on('error', () => undefined);
      return Promise.resolve(owning(openRedis({ client }, options), () => client.disconnect()));
    },
  ],
];
