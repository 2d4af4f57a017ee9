import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test, vi } from 'vitest';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { byPosition } from '../../src/stores/sqlite/by-position.ts';

const message = (content: string): AgentInputItem => ({ role: 'user', content });

describe('A statement with numbered parameters', () => {
  test.each([
    ['SELECT ?2, ?1, ?2', ['a', 'b'], ['b', 'a', 'b']],
    ['SELECT ?, ?', ['a', 'b'], ['a', 'b']],
    ['SELECT ?1, ?, ?1', ['a', 'b'], ['a', 'b', 'a']],
    ['SELECT ?3, ?', ['a', 'b', 'c', 'd'], ['c', 'd']],
    ['SELECT ?1, ?2', ['a', 'b'], ['a', 'b']],
  ])('%s takes the same values without numbers', (sql, values, taken) => {
    const { sql: plain, order } = byPosition(sql);
    expect(plain).not.toMatch(/\?\d/);
    expect(order === undefined ? values : order.map((value) => values[value])).toEqual(taken);
    using database = new DatabaseSync(':memory:');
    const numbered = database.prepare(sql);
    numbered.setReturnArrays(true);
    expect(numbered.get(...values)).toEqual(taken);
  });
});

test('no statement with numbered parameters is given to Node.js, which cannot bind them before 22.20', async () => {
  const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
  const store = openSqlite(':memory:');
  await store.session('a', { subject: 'person' }).addItems([message('one'), message('two')]);
  await store.session('a').getItems(1);
  for await (const { id } of store.sessions({ subject: 'person' })) expect(id).toBe('a');
  await store.purgeExpired();
  await store.session('a').popItem();
  await store.deleteSession('a');
  await store.close();
  const statements = prepare.mock.calls.map(([sql]) => sql);
  prepare.mockRestore();
  expect(statements.length).toBeGreaterThan(10);
  expect(statements.filter((sql) => /\?\d/.test(sql))).toEqual([]);
});
