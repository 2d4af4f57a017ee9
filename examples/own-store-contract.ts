/** Tests a store of your own: the contract of every store of strongroom, in the test runner of Node. */
import { describe, test } from 'node:test';
import { createStore } from 'strongroom/stores';
import { storeContract } from 'strongroom/testing';
import { memoryDriver } from './support/memory-driver.ts';
import { sqliteTableDriver } from './support/sqlite-table-driver.ts';

// #region contract
void describe('a store in memory', () => {
  // Two stores over one table, as two processes over one database.
  const table = new Map<string, Uint8Array>();
  storeContract({ describe, test }, { open: () => createStore(memoryDriver(table)) });
});

void describe('a store over a table of SQLite', () => {
  storeContract({ describe, test }, { open: () => createStore(sqliteTableDriver('own-store.db')) });
});
// #endregion
