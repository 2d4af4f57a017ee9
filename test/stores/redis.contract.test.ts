import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { openRedis } from '../../src/stores/redis.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { deleteRedisKeys } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('Redis', 'openRedis');

describe.skipIf(absent)('openRedis on a URL', () => {
  const prefix = uniqueName('strongroom');
  afterAll(() => deleteRedisKeys(url, prefix));
  storeContract({ describe, test }, { open: () => openRedis(url, { prefix }) });
});

describe.skipIf(absent)('openRedis on a client of ioredis', () => {
  const prefix = uniqueName('strongroom');
  let client: Redis;
  beforeAll(() => {
    client = new Redis(url);
  });
  afterAll(async () => {
    await client.quit();
    await deleteRedisKeys(url, prefix);
  });
  storeContract({ describe, test }, { open: () => openRedis({ client }, { prefix }) });
});
