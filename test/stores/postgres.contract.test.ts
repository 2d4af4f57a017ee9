import type { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { openPostgres } from '../../src/stores/postgres.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('PostgreSQL', 'openPostgres');

describe.skipIf(absent)('openPostgres on PostgreSQL', () => {
  const schema = uniqueName('strongroom');
  afterAll(() => dropPostgresSchema(url, schema));
  storeContract({ describe, test }, { open: () => openPostgres(url, { schema }) });
});

describe('openPostgres on PGlite', () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await emptyPGlite();
  }, 60_000);
  afterAll(() => database.close());
  storeContract({ describe, test }, { open: () => openPostgres({ pool: database }) });
});
