import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';

export async function dropPostgresSchema(url: string, schema: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.end();
}

export async function dropMysqlTables(url: string, prefix: string): Promise<void> {
  const connection = await createConnection(url);
  for (const table of ['schema', 'sessions', 'items', 'shares', 'operations', 'deks', 'holds', 'leases']) {
    await connection.query(`DROP TABLE IF EXISTS ${prefix}${table}`);
  }
  await connection.end();
}

export async function deleteRedisKeys(url: string, prefix: string): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  for await (const keys of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 500 })) {
    if (keys.length > 0) await client.unlink(keys);
  }
  await client.close();
}
