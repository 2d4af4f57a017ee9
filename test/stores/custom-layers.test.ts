import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test } from 'vitest';
import {
  audit,
  cache,
  encrypt,
  exclusive,
  expire,
  redact,
  wrapSession,
  type SessionLayer,
} from '../../src/index.ts';
import { reencrypt } from '../../src/operations/index.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { approvalCell, blockedCell, FAULTS } from '../contract/matrix.ts';
import { compressLong, headersTo, label } from '../support/custom-layers.ts';
import type { InnerCase } from '../support/inners.ts';
import type { StackCase } from '../support/stacks.ts';
import { deleteRedisKeys, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { announce, uniqueName } from './servers.ts';

const message = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const call = (name: string): AgentInputItem & { type: 'function_call' } => ({
  type: 'function_call',
  callId: 'c1',
  name,
  arguments: '{}',
  status: 'completed',
});

/** The full stack with a codec and a layer that labels, in each mode of the cache and of the redaction. */
const FULL: readonly (readonly [string, (by?: string) => SessionLayer[]])[] = (
  ['tail', 'verify', 'owner'] as const
).flatMap((mode) =>
  (['write', 'read'] as const).map(
    (when) =>
      [
        `cache ${mode}, redact on ${when}`,
        (by?: string) => [
          exclusive(),
          compressLong(0),
          audit({ sink: () => undefined }),
          redact({ entities: ['US_SSN'], when }),
          label(by),
          expire({ after: '30d' }),
          cache({ maxItems: 1_000, mode }),
          encrypt({ keys: fixedKeyring() }),
        ],
      ] as const,
  ),
);

function suite(open: () => Store<StoreSession>): void {
  const store = open();
  const other = open();
  afterAll(() => Promise.all([store.close(), other.close()]));
  const inner: InnerCase = {
    name: 'a store',
    transactions: true,
    open: () => {
      const session = store.session(uniqueName('s'));
      return { session, raw: () => session.getItems() };
    },
  };

  describe.each(FULL)('%s', (_, layers) => {
    const stack: StackCase = {
      name: 'all layers and two of a user',
      hides: 'everything',
      enveloped: true,
      layers,
      wrap: (session) => wrapSession(session, layers()),
    };

    test.each(FAULTS)('converges after a fault: %s', async (fault) => {
      await approvalCell({ inner, stack, stream: false }, fault, 'serialized');
      await expect(blockedCell({ inner, stack, stream: false }, fault, 'accepted')).resolves.toBeUndefined();
    });

    test('shows two processes one history, through mutations, compactions and a new data key', async () => {
      const id = uniqueName('s');
      let labels: readonly unknown[] = [];
      const watch = headersTo((headers) => (labels = headers.map((header) => header['x-by'])));
      const one = wrapSession(store.session(id), layers('one'));
      // In the mode that looks at nothing, only one process may write, so the other one is new at each look.
      const two = () => wrapSession(other.session(id), [watch, ...layers('two')]);
      const items = [message('first'), call('before'), message('last')];
      await one.addItems(items);
      expect(await two().getItems()).toEqual(items);
      await one.applyHistoryMutations?.({
        mutations: [{ type: 'replace_function_call', callId: 'c1', replacement: call('after') }],
      });
      expect(await two().getItems()).toEqual([message('first'), call('after'), message('last')]);
      const seen = await one.getItems();
      await one.replaceHistoryWithCompaction([message('summary'), ...seen.slice(1)]);
      await reencrypt(one, { grace: 0 });
      expect(await two().getItems()).toEqual([message('summary'), call('after'), message('last')]);
      await two().replaceHistoryWithCompaction([message('new'), ...(await two().getItems()).slice(1)]);
      expect(await two().getItems()).toEqual([message('new'), call('after'), message('last')]);
      expect(labels).toEqual(['two', 'one', 'one']);
    });
  });
}

describe('two layers of a user in the full stack on SQLite', () => {
  const file = temporaryFolder();
  suite(() => openSqlite(file('custom.db')));
});

const postgres = await announce('PostgreSQL', 'two layers of a user on PostgreSQL');
describe.skipIf(postgres.absent)('two layers of a user in the full stack on PostgreSQL', () => {
  const schema = uniqueName('custom');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  suite(() => openPostgres(postgres.url, { schema }));
});

const redis = await announce('Redis', 'two layers of a user on Redis');
describe.skipIf(redis.absent)('two layers of a user in the full stack on Redis', () => {
  const prefix = uniqueName('custom');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  suite(() => openRedis(redis.url, { prefix }));
});
