import { describe, test } from 'vitest';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { temporaryFolder } from './folder.ts';

describe('openSqlite on a file', () => {
  const file = temporaryFolder();
  storeContract({ describe, test }, { open: () => openSqlite(file('contract.db')) });
});

describe('openSqlite in memory', () => {
  storeContract({ describe, test }, { open: () => openSqlite(':memory:'), shared: false });
});
