import { Client, Pool } from 'pg';
import type { AgentInputItem } from '@openai/agents';
import { createClient } from 'redis';
import { afterAll, describe, expect, test } from 'vitest';
import { cache, encrypt, expire, redact, wrapStore, type Layers } from '../../src/index.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { deleteRedisKeys, dropPostgresSchema } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

// Each command to a server takes the time of a packet there and back, whatever else is saved.

const redis = await announce('Redis', 'round trips to Redis');
const postgres = await announce('PostgreSQL', 'round trips to PostgreSQL');
const name = uniqueName('trips');

const layers = (): Layers => [
  redact(),
  expire({ after: '30d' }),
  cache({ maxItems: 1_000 }),
  encrypt({ keys: fixedKeyring() }),
];

/** The items of a turn. */
function turn(number: number): AgentInputItem[] {
  return ['question', 'answer'].map((what) => ({ role: 'user', content: `${what} ${number}` }));
}

/** What is sent during each call of a conversation, after its first turn. */
async function sentDuring(
  store: Store<StoreSession>,
  sent: string[],
): Promise<{ readonly reads: string[][]; readonly appends: string[][]; readonly cold: string[] }> {
  const session = wrapStore(store, layers()).session('conversation');
  const during = async (work: () => Promise<unknown>): Promise<string[]> => {
    sent.length = 0;
    await work();
    return [...sent];
  };
  await session.getItems();
  await session.addItems(turn(0));
  const reads: string[][] = [];
  const appends: string[][] = [];
  for (let number = 1; number <= 3; number++) {
    reads.push(await during(() => session.getItems()));
    appends.push(await during(() => session.addItems(turn(number))));
  }
  const other = wrapStore(store, layers()).session('conversation');
  const cold = await during(async () => expect(await other.getItems()).toHaveLength(8));
  return { reads, appends, cold };
}

describe.skipIf(redis.absent)('on Redis, with the full stack,', () => {
  afterAll(() => deleteRedisKeys(redis.url, name));

  test('a read of a known history and an append are one command each, and a cold read is three', async () => {
    const client = createClient({ url: redis.url });
    await client.connect();
    const sent: string[] = [];
    const withTypeMapping = client.withTypeMapping.bind(client);
    const counted = Object.assign(client, {
      withTypeMapping(mapping: Parameters<typeof withTypeMapping>[0]) {
        const inner = withTypeMapping(mapping);
        return {
          sendCommand(command: [string, ...string[]], options?: object) {
            sent.push(command[0]);
            return inner.sendCommand(command, options);
          },
        };
      },
    });
    try {
      const { reads, appends, cold } = await sentDuring(
        openRedis({ client: counted as never }, { prefix: name }),
        sent,
      );
      expect(reads).toEqual([['EVALSHA'], ['EVALSHA'], ['EVALSHA']]);
      expect(appends).toEqual([['EVALSHA'], ['EVALSHA'], ['EVALSHA']]);
      expect(cold).toEqual(['EVALSHA', 'LRANGE', 'HGET']);
    } finally {
      await client.close();
    }
  });
});

describe.skipIf(postgres.absent)('on PostgreSQL, with the full stack,', () => {
  afterAll(() => dropPostgresSchema(postgres.url, name));

  test('a read of a known history and an append are one statement each, and a cold read is three', async () => {
    const sent: string[] = [];
    class Counting extends Client {
      constructor(...given: ConstructorParameters<typeof Client>) {
        super(...given);
        const query = this.query.bind(this) as (...given: unknown[]) => unknown;
        Object.assign(this, {
          query(...asked: unknown[]) {
            const [first] = asked as [string | { readonly text: string }];
            sent.push((typeof first === 'string' ? first : first.text).trim().split(/\s+/, 1)[0] as string);
            return query(...asked);
          },
        });
      }
    }
    const pool = new Pool({ connectionString: postgres.url, Client: Counting });
    try {
      const { reads, appends, cold } = await sentDuring(openPostgres({ pool }, { schema: name }), sent);
      expect(reads).toEqual([['SELECT'], ['SELECT'], ['SELECT']]);
      // One statement that makes, checks and inserts.
      expect(appends).toEqual([['WITH'], ['WITH'], ['WITH']]);
      expect(cold).toEqual(['SELECT', 'SELECT', 'SELECT']);
    } finally {
      await pool.end();
    }
  });
});
