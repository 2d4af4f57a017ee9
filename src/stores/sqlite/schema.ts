import type { DatabaseSync } from 'node:sqlite';
import { newerSchemaError } from '../failure.ts';

/**
 * Each entry brings a database from the version that is its index to the next one, in one transaction. Entries are
 * never changed after a release, only added.
 *
 * `strongroom_items` has a rowid and not its natural key: with the item in a `WITHOUT ROWID` table, rows of the size
 * of a message overflow their page, and the file grows to three times the JSON. Data keys are referred to by a small
 * number, because their 43-character id would be a tenth of an item.
 */
const MIGRATIONS: readonly string[] = [
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
];

/** Brings the database to the newest schema; safe when several processes do it at once. */
export function migrate(database: DatabaseSync, name: string): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec('CREATE TABLE IF NOT EXISTS strongroom_schema (version INTEGER NOT NULL) STRICT');
    const row = database.prepare('SELECT max(version) AS version FROM strongroom_schema').get();
    const version = (row?.['version'] as number | null) ?? 0;
    if (version > MIGRATIONS.length) throw newerSchemaError(name, version, MIGRATIONS.length);
    for (const [index, statements] of MIGRATIONS.entries()) {
      if (index < version) continue;
      database.exec(statements);
      database.prepare('INSERT INTO strongroom_schema (version) VALUES (?)').run(index + 1);
    }
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
