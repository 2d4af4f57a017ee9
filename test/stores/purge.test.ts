import type { AgentInputItem } from '@openai/agents';
import { Client, Pool } from 'pg';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { openPostgres } from '../../src/stores/postgres.ts';
import { rounds } from '../support/soak.ts';
import { dropPostgresSchema } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('PostgreSQL', 'a purge among writers');

const EXPIRED = rounds(2_000, 1_000_000);
const ITEMS = 20;
const BATCH = rounds(100, 1_000);
const WRITERS = 4;
const SESSIONS = EXPIRED / ITEMS;
/** Each of these keeps an item that has not expired. */
const KEEPERS = SESSIONS / 10;

describe.skipIf(absent)('a purge of many expired items in PostgreSQL', () => {
  const schema = uniqueName('purge');
  afterAll(() => dropPostgresSchema(url, schema));

  test('deletes all of them and nothing else, in bounded batches, while others write', async () => {
    const pool = new Pool({ connectionString: url, max: WRITERS + 2 });
    const query = async (sql: string): Promise<{ count: string }[]> =>
      (await pool.query<{ count: string }>(sql)).rows;
    const now = Date.now();
    await using store = openPostgres({ pool }, { schema, clock: () => now });
    await store.ping();
    const [sessions, items] = [`${schema}.strongroom_sessions`, `${schema}.strongroom_items`];
    await pool.query(`INSERT INTO ${sessions} (id, next_seq, generation, first_expiry_at, first_birth_at)
      SELECT 'old-' || n, ${ITEMS + 1}, 1, ${now} - ${ITEMS}, 1 FROM generate_series(1, ${SESSIONS}) n`);
    const row = `INSERT INTO ${items} (session, seq, written_at, expires_at, item)`;
    const text = `json_build_object('role', 'user', 'content', repeat('word ', 60))::text`;
    await pool.query(
      `${row} SELECT number, n, 1, ${now} - n, ${text} FROM ${sessions}, generate_series(1, ${ITEMS}) n`,
    );
    await pool.query(
      `${row} SELECT number, 0, 1, ${now} + 1, ${text} FROM ${sessions} ORDER BY number LIMIT ${KEEPERS}`,
    );
    await pool.query(`ANALYZE ${items}`);

    const stop = new AbortController();
    let latencies: number[] = [];
    const written = Array.from({ length: WRITERS }, () => 0);
    const message = (content: string): AgentInputItem => ({ role: 'user', content });
    const writers = written.map(async (_, writer) => {
      const session = store.session(`writer-${writer}`);
      while (!stop.signal.aborted) {
        const start = performance.now();
        await session.addItems([message(`${written[writer]}`)]);
        latencies.push(performance.now() - start);
        written[writer] = (written[writer] as number) + 1;
      }
    });
    await vi.waitFor(() => expect(latencies.length).toBeGreaterThan(rounds(50, 5_000)), { timeout: 300_000 });
    const before = latencies;
    latencies = [];
    const statements = vi.spyOn(Client.prototype, 'query');
    const start = performance.now();
    const report = await store.purgeExpired({ batch: BATCH });
    const seconds = (performance.now() - start) / 1_000;
    const during = latencies;
    stop.abort();
    await Promise.all(writers);

    console.log(
      `purged ${report.items} items of ${report.sessions} sessions in ${seconds.toFixed(1)} s, ` +
        `${Math.round(report.items / seconds)} items/s; appends of ${WRITERS} writers: p50 ${at(before, 0.5)} ms and ` +
        `p99 ${at(before, 0.99)} ms before (${before.length}), p50 ${at(during, 0.5)} ms and p99 ${at(during, 0.99)} ms ` +
        `during the purge (${during.length})`,
    );
    expect(report).toEqual({ items: EXPIRED, sessions: SESSIONS });
    const deletions = await Promise.all(
      statements.mock.calls.flatMap(([statement], index) =>
        (statement as unknown as { text: string }).text?.startsWith(
          `DELETE FROM "${schema}"."strongroom_items"`,
        )
          ? [statements.mock.results[index]?.value as unknown as Promise<{ rowCount: number }>]
          : [],
      ),
    );
    const batches = deletions.map(({ rowCount }) => rowCount);
    statements.mockRestore();
    expect(Math.max(...batches)).toBe(BATCH);
    expect(batches.reduce((sum, count) => sum + count, 0)).toBe(EXPIRED);
    expect(await query(`SELECT count(*) FROM ${items} WHERE expires_at <= ${now}`)).toEqual([{ count: '0' }]);
    expect(await query(`SELECT count(*) FROM ${items} WHERE expires_at > ${now}`)).toEqual([
      { count: `${KEEPERS}` },
    ]);
    expect(await query(`SELECT count(*) FROM ${sessions} WHERE id LIKE 'old-%'`)).toEqual([
      { count: `${KEEPERS}` },
    ]);
    for (const [writer, count] of written.entries()) {
      const stored = await store.session(`writer-${writer}`).getItems();
      expect(stored).toEqual(Array.from({ length: count }, (_, index) => message(`${index}`)));
    }
    await pool.end();
  });
});

function at(values: readonly number[], part: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(1);
}
