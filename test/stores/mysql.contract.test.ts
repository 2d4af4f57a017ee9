import { afterAll, describe, test } from 'vitest';
import { openMysql } from '../../src/stores/mysql.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { dropMysqlTables } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('MariaDB', 'openMysql');

describe.skipIf(absent)('openMysql on MariaDB', () => {
  const prefix = `${uniqueName('strongroom')}_`;
  afterAll(() => dropMysqlTables(url, prefix));
  storeContract({ describe, test }, { open: () => openMysql(url, { prefix }) });
});
