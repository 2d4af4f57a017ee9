import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { openRedis } from '../../src/stores/redis.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { rounds } from '../support/soak.ts';
import { ownCluster, withoutCluster, type OwnCluster } from './own-cluster.ts';

const SOAKING = rounds(0, 1) === 1;

describe.skipIf(withoutCluster('the contract of openRedis on a cluster'))('openRedis on a cluster', () => {
  let cluster: OwnCluster;
  let nodeRedis: ReturnType<typeof createCluster>;
  let ioRedis: Cluster;
  beforeAll(async () => {
    cluster = await ownCluster();
    nodeRedis = createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) });
    await nodeRedis.connect();
    ioRedis = new Cluster([...cluster.urls]);
  });
  afterAll(async () => {
    ioRedis?.disconnect();
    nodeRedis?.destroy();
    await cluster?.destroy();
  });

  describe('by URLs', () => {
    storeContract({ describe, test }, { open: () => openRedis(cluster.urls, { prefix: 'urls' }) });
  });
  // The contract takes a while: in `npm test` it runs once.
  describe.skipIf(!SOAKING)('with a client of createCluster', () => {
    storeContract(
      { describe, test },
      { open: () => openRedis({ client: nodeRedis as never }, { prefix: 'node' }) },
    );
  });
  describe.skipIf(!SOAKING)('with a client of Cluster of ioredis', () => {
    storeContract({ describe, test }, { open: () => openRedis({ client: ioRedis }, { prefix: 'io' }) });
  });
});
