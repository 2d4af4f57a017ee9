import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { KeyValue, KeyValueDriver } from 'strongroom/stores';

// #region driver
/** The same over a table of a real database, which several processes can have open. */
export function sqliteTableDriver(path: string): KeyValueDriver {
  const database = new DatabaseSync(path, { timeout: 5_000 });
  database.exec('PRAGMA journal_mode = WAL');
  database.exec(
    'CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID',
  );
  const find = database.prepare('SELECT value FROM entries WHERE key = ?');
  const put = database.prepare('INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)');
  const remove = database.prepare('DELETE FROM entries WHERE key = ?');
  const list = 'SELECT key, value FROM entries WHERE key >= ? AND key < ? ORDER BY key';
  const listed = { up: database.prepare(`${list} LIMIT ?`), down: database.prepare(`${list} DESC LIMIT ?`) };

  const valueOf = (key: string): Uint8Array | undefined => find.get(key)?.['value'] as Uint8Array | undefined;
  // A transaction that only reads uses one snapshot; one that writes holds the lock from its beginning.
  function transaction<T>(begin: 'BEGIN' | 'BEGIN IMMEDIATE', work: () => T): T {
    database.exec(begin);
    try {
      const result = work();
      database.exec('COMMIT');
      return result;
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }

  return {
    name: 'sqliteTableDriver',
    get: async (keys) => transaction('BEGIN', () => keys.map(valueOf)),
    async list({ from, to, limit = -1, reverse }) {
      const range: SQLInputValue[] = [from, to, limit];
      const rows = (reverse ? listed.down : listed.up).all(...range);
      return rows.map((row): KeyValue => [row['key'] as string, row['value'] as Uint8Array]);
    },
    commit: async (commit) =>
      transaction('BEGIN IMMEDIATE', () => {
        const isSame = commit.expect.every(([key, value]) => {
          const stored = valueOf(key);
          return value === undefined ? stored === undefined : stored && Buffer.compare(value, stored) === 0;
        });
        if (!isSame) return false;
        for (const [key, value] of commit.put) put.run(key, value);
        for (const key of commit.remove) remove.run(key);
        return true;
      }),
    close: async () => database.close(),
  };
}
// #endregion
