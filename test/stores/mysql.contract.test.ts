import { createConnection } from 'mysql2/promise';
import { afterAll, describe, test } from 'vitest';
import { openMysql } from '../../src/stores/mysql.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('MariaDB', 'openMysql');

describe.skipIf(absent)('openMysql on MariaDB', () => {
  const prefix = `${uniqueName('strongroom')}_`;
  afterAll(async () => {
    const connection = await createConnection(url);
    for (const table of ['schema', 'sessions', 'items', 'operations', 'deks', 'holds', 'leases']) {
      await connection.query(`DROP TABLE IF EXISTS ${prefix}${table}`);
    }
    await connection.end();
  });
  storeContract({ describe, test }, { open: () => openMysql(url, { prefix }) });
});
