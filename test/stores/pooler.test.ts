import type { AgentInputItem } from '@openai/agents';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { dropPostgresSchema } from './cleaning.ts';
import { startPooler, withoutPooler, type Pooler } from './pooler.ts';
import { announce, uniqueName } from './servers.ts';

// PgBouncer as it comes: it refuses parameters at the start of a connection that it does not know.

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const { url, absent } = await announce('PostgreSQL', 'openPostgres behind PgBouncer');
const skipped = withoutPooler('openPostgres behind PgBouncer') || absent;

describe.skipIf(skipped).each(['transaction', 'session'] as const)('PgBouncer in %s mode', (mode) => {
  const schema = uniqueName('pooler');
  let pooler: Pooler;
  beforeAll(async () => {
    // A few connections for many clients, so that each gets those of others all the time.
    pooler = await startPooler(url, mode, mode === 'transaction' ? ['default_pool_size = 3'] : []);
  }, 60_000);
  afterAll(async () => {
    await pooler?.close();
    await dropPostgresSchema(url, schema);
  });

  if (mode === 'transaction') {
    storeContract({ describe, test }, { open: () => openPostgres(pooler.url, { schema }) });
  }

  test('serves a store with default options', async () => {
    await using store = openPostgres(pooler.url, { schema });
    const layers = [cache({ maxItems: 100 }), encrypt({ keys: fixedKeyring() })];
    const sessions = Array.from({ length: 20 }, (_, n) => wrapStore(store, layers).session(`${mode} ${n}`));
    for (const text of ['1', '2', '3']) {
      await Promise.all(sessions.map((session) => session.addItems([message(text)])));
    }
    expect(await Promise.all(sessions.map((session) => session.popItem()))).toEqual(
      sessions.map(() => message('3')),
    );
    for (const session of sessions) expect(await session.getItems()).toEqual(['1', '2'].map(message));
  });

  test('gets no setting that stays on a shared connection', async () => {
    await using store = openPostgres(pooler.url, { schema, timeout: '29s' });
    await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        await store.session(`left ${n}`).addItems([message('1')]);
        await store.session(`left ${n}`).popItem();
      }),
    );
    const others = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const client = new Client(pooler.url);
        await client.connect();
        const { rows } = await client.query<{ statement_timeout: string }>('SHOW statement_timeout');
        await client.end();
        return rows[0]?.statement_timeout;
      }),
    );
    expect(others).toEqual(['0', '0', '0']);
  });

  test('leaves no statement waiting in the server after its caller timed out', async () => {
    const id = `locked ${mode}`;
    await using store = openPostgres(pooler.url, { schema, timeout: '1s' });
    await vi.waitFor(() => store.session(id).addItems([message('1')]), { timeout: 30_000 });
    const holder = new Client(url);
    await holder.connect();
    try {
      await holder.query('BEGIN');
      await holder.query(`SELECT 1 FROM "${schema}".strongroom_sessions WHERE id = $1 FOR UPDATE`, [id]);
      await expect(store.session(id).popItem()).rejects.toMatchObject({ code: 'ERR_STORE', written: 'no' });
      const waiting = `SELECT count(*)::int AS count FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND position($1 in query) > 0 AND pid <> pg_backend_pid()`;
      await vi.waitFor(
        async () => {
          const { rows } = await holder.query<{ count: number }>(waiting, [schema]);
          expect(rows[0]?.count).toBe(0);
        },
        { timeout: 30_000 },
      );
    } finally {
      await holder.query('ROLLBACK');
      await holder.end();
    }
  });
});
