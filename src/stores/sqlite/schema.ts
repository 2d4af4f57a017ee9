import type { DatabaseSync } from 'node:sqlite';
import { lineageOf } from '../../derived-id.ts';
import { isCurrentSchema } from '../failure.ts';

/**
 * Each entry brings a database from the version that is its index to the next one, in one transaction. Entries are
 * never changed, only added (see CONTRIBUTING.md): a database of the version before gets this one.
 *
 * `strongroom_items` has a rowid and not its natural key: with the item in a `WITHOUT ROWID` table, rows of the size
 * of a message overflow their page, and the file grows to three times the JSON. Data keys are referred to by a small
 * number, because their 43-character id would be a tenth of an item.
 */
const MIGRATIONS: readonly (string | ((database: DatabaseSync) => void))[] = [
  `
  CREATE TABLE strongroom_sessions (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    subject TEXT,
    generation INTEGER NOT NULL,
    first_expiry_at INTEGER,
    first_birth_at INTEGER
  );
  CREATE INDEX strongroom_sessions_subject ON strongroom_sessions (subject) WHERE subject IS NOT NULL;
  CREATE INDEX strongroom_sessions_expiry ON strongroom_sessions (first_expiry_at) WHERE first_expiry_at IS NOT NULL;
  CREATE INDEX strongroom_sessions_birth ON strongroom_sessions (first_birth_at);
  CREATE TABLE strongroom_items (
    key INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    head TEXT,
    dek INTEGER,
    written_at INTEGER NOT NULL,
    expires_at INTEGER,
    born_at INTEGER,
    wrapped TEXT,
    body NOT NULL
  );
  CREATE UNIQUE INDEX strongroom_items_order ON strongroom_items (session, seq);
  CREATE TABLE strongroom_operations (
    session INTEGER NOT NULL,
    operation TEXT NOT NULL,
    digest TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (session, operation)
  ) WITHOUT ROWID;
  CREATE TABLE strongroom_deks (
    key INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    did TEXT NOT NULL,
    kid TEXT NOT NULL,
    wrapped TEXT,
    created_at INTEGER NOT NULL,
    destroyed_at INTEGER,
    UNIQUE (session, did)
  );
  CREATE TABLE strongroom_holds (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    reason TEXT NOT NULL,
    placed_at INTEGER NOT NULL,
    placed_by TEXT,
    released_at INTEGER,
    released_by TEXT
  );
  CREATE INDEX strongroom_holds_open ON strongroom_holds (session) WHERE released_at IS NULL;
  CREATE TABLE strongroom_leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
  completeDraft,
  // Items name their data key by its number. Without AUTOINCREMENT SQLite reuses the number of a deleted row, and
  // items of the lost key would count as items of the new one.
  `
  ALTER TABLE strongroom_deks RENAME TO strongroom_deks_before;
  CREATE TABLE strongroom_deks (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    did TEXT NOT NULL,
    kid TEXT NOT NULL,
    wrapped TEXT,
    created_at INTEGER NOT NULL,
    destroyed_at INTEGER,
    UNIQUE (session, did)
  );
  INSERT INTO strongroom_deks (key, session, did, kid, wrapped, created_at, destroyed_at)
    SELECT key, session, did, kid, wrapped, created_at, destroyed_at FROM strongroom_deks_before ORDER BY key;
  DROP TABLE strongroom_deks_before;
  `,
  addRoots,
  // A branch begins with the records of the session `base` up to the number `high`, and has no copies of them. Records
  // that it has taken over name the session that they were written for.
  `
  CREATE TABLE strongroom_shares (
    session INTEGER PRIMARY KEY,
    base INTEGER NOT NULL,
    high INTEGER NOT NULL
  );
  CREATE INDEX strongroom_shares_base ON strongroom_shares (base);
  ALTER TABLE strongroom_items ADD COLUMN origin TEXT;
  CREATE INDEX strongroom_items_origin ON strongroom_items (origin, session) WHERE origin IS NOT NULL;
  `,
];

/** The conversation of a session, from its id: so that the derived sessions of one are found without a scan. */
function addRoots(database: DatabaseSync): void {
  database.exec(`
    ALTER TABLE strongroom_sessions ADD COLUMN root TEXT;
    CREATE INDEX strongroom_sessions_root ON strongroom_sessions (root) WHERE root IS NOT NULL;
  `);
  const set = database.prepare('UPDATE strongroom_sessions SET root = ? WHERE key = ?');
  const reserved = database.prepare(`SELECT key, id FROM strongroom_sessions WHERE id GLOB '~[a-z]*~*~*'`);
  for (const { key, id } of reserved.all() as { key: number; id: string }[]) {
    const root = lineageOf(id)?.root;
    if (root !== undefined) set.run(root, key);
  }
}

/** The first version was edited in place for a while: a database has the schema of the time when it was created. */
function completeDraft(database: DatabaseSync): void {
  const columnsOf = (table: string): unknown[] =>
    database
      .prepare('SELECT name FROM pragma_table_info(?)')
      .all(table)
      .map(({ name }) => name);
  const sessions = columnsOf('strongroom_sessions');
  if (!sessions.includes('first_birth_at')) {
    database.exec(`
      ALTER TABLE strongroom_sessions ADD COLUMN first_expiry_at INTEGER;
      ALTER TABLE strongroom_sessions ADD COLUMN first_birth_at INTEGER;
      UPDATE strongroom_sessions SET
        first_expiry_at = (SELECT min(expires_at) FROM strongroom_items WHERE session = strongroom_sessions.key),
        first_birth_at = (SELECT min(coalesce(born_at, written_at)) FROM strongroom_items WHERE session = strongroom_sessions.key);
      DROP INDEX IF EXISTS strongroom_items_expiry;
      DROP INDEX IF EXISTS strongroom_items_birth;
      CREATE INDEX strongroom_sessions_expiry ON strongroom_sessions (first_expiry_at) WHERE first_expiry_at IS NOT NULL;
      CREATE INDEX strongroom_sessions_birth ON strongroom_sessions (first_birth_at);
    `);
  }
  if (sessions.includes('next_seq')) {
    database.exec('ALTER TABLE strongroom_sessions DROP COLUMN next_seq');
  }
  if (columnsOf('strongroom_holds').length === 0) {
    database.exec(`
      CREATE TABLE strongroom_holds (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        session TEXT NOT NULL,
        reason TEXT NOT NULL,
        placed_at INTEGER NOT NULL,
        placed_by TEXT,
        released_at INTEGER,
        released_by TEXT
      );
      CREATE INDEX strongroom_holds_open ON strongroom_holds (session) WHERE released_at IS NULL;
    `);
  }
  const leases = columnsOf('strongroom_leases');
  if (leases.length === 0 || leases.includes('token')) {
    database.exec(`
      DROP TABLE IF EXISTS strongroom_leases;
      CREATE TABLE strongroom_leases (
        name TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        expires_at INTEGER NOT NULL
      ) WITHOUT ROWID;
    `);
  }
}

/** Migrates the database to the newest schema; safe for concurrent processes. */
export function migrate(database: DatabaseSync, name: string): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec('CREATE TABLE IF NOT EXISTS strongroom_schema (version INTEGER NOT NULL) STRICT');
    const row = database.prepare('SELECT max(version) AS version FROM strongroom_schema').get();
    const version = (row?.['version'] as number | null) ?? 0;
    isCurrentSchema(name, version, MIGRATIONS.length);
    for (const [index, migration] of MIGRATIONS.entries()) {
      if (index < version) continue;
      if (typeof migration === 'string') database.exec(migration);
      else migration(database);
      database.prepare('INSERT INTO strongroom_schema (version) VALUES (?)').run(index + 1);
    }
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
