import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem } from '@openai/agents';
import * as fc from 'fast-check';
import { createPool } from 'mysql2/promise';
import { Pool } from 'pg';
import { afterAll, describe, expect, test } from 'vitest';
import { carrierOf, formatEnvelope, formatHeader } from '../../src/protocol/envelope.ts';
import { firstTimes, isEarlier, SESSIONS_A_STEP } from '../../src/stores/first-times.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { rounds } from '../support/soak.ts';
import { dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';

const NOW = Date.now();

/** An item by when it was born and when it expires, in days from now. */
type Times = readonly [born: number, expires: number | undefined];

const days = (count: number): number => NOW + count * 86_400_000;

function item([born, expires]: Times): AgentInputItem {
  const header = { s: 'none', t: days(born), ...(expires !== undefined && { e: days(expires) }) };
  return carrierOf(formatEnvelope(formatHeader(header), new Uint8Array(40)));
}

const times: fc.Arbitrary<Times> = fc.tuple(
  fc.integer({ min: -20, max: 0 }),
  fc.option(fc.integer({ min: -19, max: 20 }), { nil: undefined }),
);
const items = fc.array(times, { minLength: 1, maxLength: 4 });
const change = fc.oneof(
  fc.record({ do: fc.constant('add' as const), items }),
  fc.record({ do: fc.constant('add once' as const), items }),
  fc.record({ do: fc.constant('replace the last two' as const), items }),
  fc.record({ do: fc.constant('compact' as const), items }),
  fc.record({ do: fc.constant('pop' as const) }),
  fc.record({ do: fc.constant('clear' as const) }),
  fc.record({ do: fc.constant('purge' as const), days: fc.integer({ min: 1, max: 20 }) }),
);
type Step = typeof change extends fc.Arbitrary<infer T> ? T : never;

async function take(store: Store<StoreSession>, id: string, step: Step, number: number): Promise<void> {
  const session = store.session(id);
  const operationId = `operation ${number}`;
  switch (step.do) {
    case 'add':
      return await session.addItems(step.items.map(item));
    case 'add once':
      return await session.applyHistoryTransaction({
        operationId,
        transaction: { type: 'append_items', items: step.items.map(item) },
      });
    case 'replace the last two':
      return await session.applyHistoryTransaction({
        operationId,
        transaction: {
          type: 'replace_suffix',
          expectedSuffix: await session.getItems(2),
          replacement: step.items.map(item),
        },
      });
    case 'compact':
      return await session.replaceHistoryWithCompaction(step.items.map(item));
    case 'pop':
      return void (await session.popItem());
    case 'clear':
      return await session.clearSession();
    case 'purge':
      return void (await store.purgeExpired({ after: `${step.days}d` }));
  }
}

interface Found {
  readonly first_expiry_at: unknown;
  readonly first_birth_at: unknown;
  readonly expiry: unknown;
  readonly birth: unknown;
}

/** Each session's bounds beside what they bound. */
function boundsSql(prefix: string, key: string): string {
  return `SELECT s.first_expiry_at, s.first_birth_at, min(i.expires_at) AS expiry,
    min(coalesce(i.born_at, i.written_at)) AS birth FROM ${prefix}sessions s JOIN ${prefix}items i ON i.session = s.${key}
    GROUP BY s.${key}, s.first_expiry_at, s.first_birth_at`;
}

/** @param query The rows of a statement of one's own in the same database. */
function holds(
  open: () => Store<StoreSession>,
  query: (sql: string) => Promise<unknown[]>,
  prefix: string,
  key: string,
): void {
  test('are never later than those of an existing item, after any changes', async () => {
    await using store = open();
    let session = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (steps) => {
        const id = `session ${++session}`;
        for (const [number, step] of steps.entries()) await take(store, id, step, number);
        for (const row of (await query(boundsSql(prefix, key))) as Found[]) {
          expect(Number(row.first_birth_at)).toBeLessThanOrEqual(Number(row.birth));
          if (row.expiry === null) continue;
          expect(row.first_expiry_at).not.toBeNull();
          expect(Number(row.first_expiry_at)).toBeLessThanOrEqual(Number(row.expiry));
        }
        await store.deleteSession(id);
      }),
      { numRuns: rounds(60, 2_000) },
    );
  });

  test('of a session that had nothing to purge are those of the remaining items', async () => {
    await using store = open();
    const [emptied, shortened] = [store.session('emptied'), store.session('shortened')];
    for (const session of [emptied, shortened]) await session.addItems([item([-1, 3]), item([-9, -8])]);
    await emptied.clearSession();
    await shortened.popItem();
    expect(await store.purgeExpired()).toEqual({ items: 0, sessions: 0 });
    expect(await store.purgeExpired({ after: '5d' })).toEqual({ items: 0, sessions: 0 });
    const rows = (await query(
      `SELECT id, first_expiry_at, first_birth_at FROM ${prefix}sessions ORDER BY id`,
    )) as Record<string, unknown>[];
    expect(
      rows.map((row) => [String(row['id']), row['first_expiry_at'], row['first_birth_at']].map(numeric)),
    ).toEqual([
      ['emptied', null, null],
      ['shortened', days(3), days(-1)],
    ]);
    for (const id of ['emptied', 'shortened']) await store.deleteSession(id);
  });

  test('lead a purge to every session, in any number of steps', async () => {
    await using store = open();
    const ids = Array.from({ length: SESSIONS_A_STEP * 2 + 1 }, (_, number) => `many ${number}`);
    await store.appendMany?.(ids.map((id) => ({ id, items: [item([-9, -8]), item([-9, -7])] })));
    expect(await store.purgeExpired({ batch: 1_000 })).toEqual({
      items: ids.length * 2,
      sessions: ids.length,
    });
  });
}

const numeric = (value: unknown): unknown =>
  typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;

describe('the first times of records', () => {
  const record = (writtenAt: number, bornAt: number | null, expiresAt: number | null) => ({
    head: null,
    did: null,
    body: '{}',
    wrapped: null,
    writtenAt,
    bornAt,
    expiresAt,
  });

  test('are the earliest expiry and the earliest time of writing, or none', () => {
    expect(firstTimes([])).toEqual({ expiry: null, birth: null });
    expect(firstTimes([record(5, null, null), record(7, 3, 20), record(4, null, 10)])).toEqual({
      expiry: 10,
      birth: 3,
    });
  });

  test('lower a bound when there is none, or a later one', () => {
    expect(isEarlier(null, null)).toBe(false);
    expect(isEarlier(null, 5)).toBe(false);
    expect(isEarlier(5, null)).toBe(true);
    expect(isEarlier(4, 5)).toBe(true);
    expect(isEarlier(5, 5)).toBe(false);
  });
});

describe('the bounds of a session in SQLite', () => {
  const file = temporaryFolder();
  const path = (): string => file('bounds.db');
  holds(
    () => openStore(path(), ''),
    (sql) => {
      const database = new DatabaseSync(path());
      const rows = database.prepare(sql).all();
      database.close();
      return Promise.resolve(rows);
    },
    'strongroom_',
    'key',
  );
});

const postgres = await announce('PostgreSQL', 'the bounds of a session in PostgreSQL');
describe.skipIf(postgres.absent)('the bounds of a session in PostgreSQL', () => {
  const schema = uniqueName('bounds');
  const pool = new Pool({ connectionString: postgres.url, max: 1 });
  afterAll(async () => {
    await pool.end();
    await dropPostgresSchema(postgres.url, schema);
  });
  holds(
    () => openStore(postgres.url, schema),
    async (sql) => (await pool.query<object>(sql)).rows,
    `${schema}.strongroom_`,
    'number',
  );
});

const mariadb = await announce('MariaDB', 'the bounds of a session in MariaDB');
describe.skipIf(mariadb.absent)('the bounds of a session in MariaDB', () => {
  const name = uniqueName('bounds');
  const pool = createPool({ uri: mariadb.url, connectionLimit: 1 });
  afterAll(async () => {
    await pool.end();
    await dropMysqlTables(mariadb.url, `${name}_`);
  });
  holds(
    () => openStore(mariadb.url, name),
    async (sql) => (await pool.query(sql))[0] as object[],
    `${name}_`,
    'number',
  );
});
