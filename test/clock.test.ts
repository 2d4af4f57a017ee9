import { MemorySession, type AgentInputItem } from '@openai/agents';
import { expect, test } from 'vitest';
import {
  memoryDekStore,
  openRunState,
  purgeDataKeys,
  sealRunState,
  sessionDekStore,
  sqliteDekStore,
} from '../src/operations/index.ts';
import { expire } from '../src/layers/expire.ts';
import { openMysql } from '../src/stores/mysql.ts';
import { openPostgres } from '../src/stores/postgres.ts';
import { openRedis } from '../src/stores/redis.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { fixedKeyring } from '../src/testing/fixed-keyring.ts';
import { wrapSession } from '../src/wrap-session.ts';

type Clock = () => number;

const item: AgentInputItem = { type: 'message', role: 'user', content: 'hello' };
const keys = fixedKeyring('clocks');
const sealed = await sealRunState('{}', { keys, id: 'one' });

/** Everything that takes a clock: made with one, and where it can be done without a server, a use of it. */
const TAKERS: readonly (readonly [
  name: string,
  make: (clock: Clock) => unknown,
  use?: (made: never) => unknown,
])[] = [
  ['openMysql', (clock) => openMysql('mysql://root@127.0.0.1/test', { clock })],
  ['openPostgres', (clock) => openPostgres('postgres://postgres@127.0.0.1/test', { clock })],
  ['openRedis', (clock) => openRedis('redis://127.0.0.1', { clock })],
  [
    'openSqlite',
    (clock) => openSqlite(':memory:', { clock }),
    async (store: ReturnType<typeof openSqlite>) => store.session('one').addItems([item]),
  ],
  [
    'sqliteDekStore',
    (clock) => sqliteDekStore(':memory:', { clock }),
    async (store: ReturnType<typeof sqliteDekStore>) => store.destroy('one'),
  ],
  [
    'memoryDekStore',
    (clock) => memoryDekStore({ clock }),
    async (store: ReturnType<typeof memoryDekStore>) => store.destroy('one'),
  ],
  [
    'sessionDekStore',
    (clock) => sessionDekStore(() => new MemorySession(), { clock }),
    async (store: ReturnType<typeof sessionDekStore>) => store.destroy('one'),
  ],
  [
    'expire',
    (clock) => expire({ after: '1d', clock }),
    async (layer: ReturnType<typeof expire>) => wrapSession(new MemorySession(), [layer]).addItems([item]),
  ],
  [
    'a layer of your own',
    (clock) =>
      wrapSession(new MemorySession(), [{ name: 'a layer of your own', clock }, expire({ after: '1d' })]),
    async (session: MemorySession) => session.addItems([item]),
  ],
  ['sealRunState', async (clock) => sealRunState('{}', { keys, id: 'one', clock }), (made: unknown) => made],
  [
    'openRunState',
    async (clock) => openRunState(sealed, { keys, id: 'one', clock }),
    (made: unknown) => made,
  ],
  [
    'purgeDataKeys',
    async (clock) => purgeDataKeys(memoryDekStore(), { after: '1d', clock }),
    (made: unknown) => made,
  ],
];

for (const [name, make, use] of TAKERS) {
  test(`${name} takes a function as its clock, and nothing else`, async () => {
    for (const clock of [5, '12:00', null, new Date()] as never[]) {
      await expect((async () => make(clock))()).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringMatching(
          new RegExp(
            `^(${name}|PostgreSQL|MySQL): clock must be a function that returns Unix milliseconds, got `,
          ),
        ) as string,
      });
    }
  });

  if (use === undefined) continue;
  test(`${name} does nothing when its clock gives no valid time`, async () => {
    for (const time of [Number.NaN, Number.POSITIVE_INFINITY, -1, undefined, 1e300] as number[]) {
      const used = (async () => use((await make(() => time)) as never))();
      await expect(used).rejects.toMatchObject({
        code: 'ERR_CLOCK',
        message: `${name}: the clock must return Unix milliseconds, a number of at least 0.`,
      });
    }
  });
}
