import type { StoreCheckup } from '../checkup.ts';
import { text, type SqlRunner } from '../sql/client.ts';
import { migrations, tableName, type PostgresNames } from './schema.ts';

/** The settings are checked at the connection. */
export async function postgresCheckup(runner: SqlRunner, names: PostgresNames): Promise<StoreCheckup> {
  const { rows } = await runner.read(
    `SELECT c.relname::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indisvalid AND i.indrelid IN (to_regclass(?), to_regclass(?))`,
    [tableName(names, 'sessions'), tableName(names, 'holds')],
  );
  const present = new Set(rows.map((row) => text(row['name'])));
  return { settings: [], missingIndexes: indexesOfSchema(names).filter((name) => !present.has(name)) };
}

/** Those that the migrations make; none of them was removed again by a later one. */
function indexesOfSchema(names: PostgresNames): string[] {
  const made = migrations(names)
    .flat()
    .flatMap((statement) => /^CREATE INDEX (?:IF NOT EXISTS )?"([^"]+)"/.exec(statement)?.[1] ?? []);
  return [...new Set(made)];
}
