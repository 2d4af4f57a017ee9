import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { openRedis } from '../../src/stores/redis.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('Redis', 'openRedis');

async function deleteKeys(prefix: string): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  for await (const keys of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 500 })) {
    if (keys.length > 0) await client.unlink(keys);
  }
  await client.close();
}

describe.skipIf(absent)('openRedis on a URL', () => {
  const prefix = uniqueName('strongroom');
  afterAll(() => deleteKeys(prefix));
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
    await deleteKeys(prefix);
  });
  storeContract({ describe, test }, { open: () => openRedis({ client }, { prefix }) });
});
