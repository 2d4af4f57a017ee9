import type { TableName } from '../sql/dialect.ts';

export function tableName(prefix: string, name: TableName): string {
  return `\`${prefix}${name}\``;
}

/**
 * The statements of each version, in order; they are never changed after a release, only added. Each can be repeated:
 * MySQL commits every one of them at once.
 *
 * Ids are bytes (`varbinary`), because collations make one id of two: by case, accents or trailing spaces. An item is
 * `longtext`, never `json`, which re-orders keys. Times are indexed as bounds of whole sessions (see first-times.ts),
 * which an append does not change.
 */
export function migrations(prefix: string): readonly (readonly string[])[] {
  const table = (name: TableName): string => tableName(prefix, name);
  const engine = 'ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin';
  return [
    [
      `CREATE TABLE IF NOT EXISTS ${table('sessions')} (
        number bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
        id varbinary(512) NOT NULL,
        subject varbinary(512),
        next_seq bigint NOT NULL,
        generation bigint NOT NULL,
        first_expiry_at bigint,
        first_birth_at bigint,
        UNIQUE KEY by_id (id),
        KEY by_subject (subject, id),
        KEY by_first_expiry (first_expiry_at),
        KEY by_first_birth (first_birth_at)
      ) ${engine}`,
      `CREATE TABLE IF NOT EXISTS ${table('items')} (
        session bigint NOT NULL,
        seq bigint NOT NULL,
        written_at bigint NOT NULL,
        expires_at bigint,
        born_at bigint,
        dek bigint,
        head text,
        wrapped text,
        item longtext,
        body longblob,
        PRIMARY KEY (session, seq)
      ) ${engine}`,
      `CREATE TABLE IF NOT EXISTS ${table('operations')} (
        session bigint NOT NULL,
        operation varbinary(64) NOT NULL,
        digest varbinary(64) NOT NULL,
        position bigint NOT NULL,
        PRIMARY KEY (session, operation)
      ) ${engine}`,
      `CREATE TABLE IF NOT EXISTS ${table('deks')} (
        number bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
        session varbinary(512) NOT NULL,
        did varbinary(64) NOT NULL,
        kid varbinary(255) NOT NULL,
        wrapped text,
        created_at bigint NOT NULL,
        destroyed_at bigint,
        UNIQUE KEY by_did (session, did)
      ) ${engine}`,
      `CREATE TABLE IF NOT EXISTS ${table('holds')} (
        number bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
        id varbinary(512) NOT NULL,
        session varbinary(512) NOT NULL,
        reason text NOT NULL,
        placed_at bigint NOT NULL,
        placed_by text,
        released_at bigint,
        released_by text,
        UNIQUE KEY by_id (id),
        KEY by_session (session)
      ) ${engine}`,
      `CREATE TABLE IF NOT EXISTS ${table('leases')} (
        name varbinary(640) NOT NULL PRIMARY KEY,
        owner varbinary(64) NOT NULL,
        expires_at bigint NOT NULL
      ) ${engine}`,
    ],
  ];
}

/** What a set-up by hand runs: everything, for an empty database. */
export function setupStatements(prefix: string): string[] {
  const schema = tableName(prefix, 'schema');
  return [
    `CREATE TABLE IF NOT EXISTS ${schema} (version integer PRIMARY KEY) ENGINE=InnoDB`,
    ...migrations(prefix).flatMap((statements, index) => [
      ...statements,
      `INSERT IGNORE INTO ${schema} (version) VALUES (${index + 1})`,
    ]),
  ];
}
