import type { AgentInputItem } from '@openai/agents';
import { constants, DatabaseSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import { branches } from '../../src/history/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';

function messages(count: number): AgentInputItem[] {
  return Array.from({ length: count }, (_, index) => ({ role: 'user', content: `item ${index}` }));
}

/** Every kind of call, with values that differ from time to time. */
const CALLS: Readonly<Record<string, (store: Store, time: number) => Promise<unknown>>> = {
  'a read of a short history': (store) => store.session('short').getItems(),
  'a read of the end of a history': (store, time) => store.session('short').getItems(1 + time),
  'a read of a long history': (store) => store.session('long').getItems(),
  'a read of the end of a long history': (store, time) => store.session('long').getItems(500 + time),
  'a read of a branch': (store) => branches(store, 'long').session('aside').getItems(),
  'a read of the end of a branch': (store, time) =>
    branches(store, 'long')
      .session('aside')
      .getItems(1 + time),
  'a read of nothing': (store, time) => store.session(`none ${time}`).getItems(),
  'an append': (store, time) => store.session('short').addItems(messages(1 + time)),
  'a first append': (store, time) => store.session(`new ${time}`).addItems(messages(4)),
  'a removal of the last item': (store) => store.session('short').popItem(),
  'a list of sessions': async (store) => {
    for await (const { id } of store.sessions()) expect(id).not.toBe('');
  },
  'a purge': (store) => store.purgeExpired(),
  'a deletion': (store, time) => store.deleteSession(`new ${time}`),
};

test.each(Object.entries(CALLS))('%s compiles no statement that was compiled before', async (_, call) => {
  const opened = vi.spyOn(DatabaseSync.prototype, 'prepare');
  await using store = openSqlite(':memory:');
  await store.session('short').addItems(messages(12));
  await store.session('long').addItems(messages(700));
  await branches(store, 'long').create('aside');
  const [database] = opened.mock.contexts as [DatabaseSync];
  let compiled = 0;
  // SQLite asks it while it compiles a statement, and compiles all of them again because it was set.
  database.setAuthorizer(() => {
    compiled++;
    return constants.SQLITE_OK;
  });
  for (let time = 0; time < 3; time++) await call(store, time);
  expect(compiled).toBeGreaterThan(0);
  compiled = 0;
  const prepared = opened.mock.calls.length;
  for (let time = 3; time < 6; time++) await call(store, time);
  expect(opened.mock.calls.slice(prepared)).toEqual([]);
  expect(compiled).toBe(0);
  opened.mockRestore();
});
