import type { StoreCheckup } from '../checkup.ts';
import type { Connection } from './connection.ts';
import { loadSqlite } from './handle.ts';
import { migrate } from './schema.ts';

const INDEXES = `SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name`;

export async function sqliteCheckup(connection: Connection): Promise<StoreCheckup> {
  return connection.read(({ all, get }) => {
    const present = new Set(all(INDEXES).map(({ name }) => name));
    // 1 is NORMAL (https://sqlite.org/pragma.html#pragma_synchronous).
    const isNormal = Object.values(get('PRAGMA synchronous') ?? {})[0] === 1;
    return {
      settings: isNormal
        ? [
            {
              level: 'note',
              what: 'A power cut may lose the last acknowledged writes (synchronous NORMAL); a crash of the process loses nothing.',
              next: "Open the store with durability: 'full' if they must survive.",
            },
          ]
        : [],
      missingIndexes: indexesOfSchema().filter((name) => !present.has(name)),
    };
  });
}

/** Those of a new database. */
function indexesOfSchema(): string[] {
  const database = new (loadSqlite().DatabaseSync)(':memory:');
  try {
    migrate(database, 'openSqlite');
    return database
      .prepare(INDEXES)
      .all()
      .map(({ name }) => name as string);
  } finally {
    database.close();
  }
}
