import { ROOT_PATTERN } from '../../derived-id.ts';
import type { TableName } from '../sql/dialect.ts';

export function tableName(prefix: string, name: TableName): string {
  return `\`${prefix}${name}\``;
}

/** A statement, or one that is skipped when the condition holds: MySQL has no `IF` in `ALTER TABLE`, MariaDB has. */
export type Step = string | { readonly unless: string; readonly statement: string };

/**
 * The statements of each version, in order; they are never changed, only added (see CONTRIBUTING.md): a database of
 * the version before gets this one. Each can be repeated: MySQL commits every one of them at once.
 *
 * Ids are bytes (`varbinary`), because collations treat different ids as equal: by case, accents or trailing
 * spaces. An item is `longtext`, never `json`, which re-orders keys. Times are indexed as bounds of whole sessions
 * (see first-times.ts), which an append does not change.
 */
export function migrations(prefix: string): readonly (readonly Step[])[] {
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
    // The first version was edited in place for a while: a database has the schema of the time when it was created.
    [
      {
        unless: hasColumn(`${prefix}sessions`, 'first_birth_at'),
        statement: `ALTER TABLE ${table('sessions')} ADD COLUMN first_expiry_at bigint, ADD COLUMN first_birth_at bigint,
         ADD KEY by_first_expiry (first_expiry_at), ADD KEY by_first_birth (first_birth_at)`,
      },
      `UPDATE ${table('sessions')} s SET
         first_expiry_at = (SELECT min(expires_at) FROM ${table('items')} WHERE session = s.number),
         first_birth_at = (SELECT min(coalesce(born_at, written_at)) FROM ${table('items')} WHERE session = s.number)
       WHERE first_birth_at IS NULL AND EXISTS (SELECT 1 FROM ${table('items')} WHERE session = s.number)`,
      {
        unless: `NOT ${hasColumn(`${prefix}items`, 'birth')}`,
        statement: `ALTER TABLE ${table('items')} DROP KEY by_expiry, DROP KEY by_birth, DROP COLUMN birth`,
      },
      {
        unless: `NOT ${hasColumn(`${prefix}leases`, 'token')}`,
        statement: `ALTER TABLE ${table('leases')} DROP COLUMN token`,
      },
    ],
    // The conversation of a session, from its id: so that the derived sessions of one are found without a scan.
    [
      {
        unless: hasColumn(`${prefix}sessions`, 'root'),
        statement: `ALTER TABLE ${table('sessions')} ADD COLUMN root varbinary(512), ADD KEY by_root (root)`,
      },
      // Bytes have no regular expressions. A dot matches the end of a line, too.
      `UPDATE ${table('sessions')}
       SET root = regexp_replace(CONVERT(id USING utf8mb4), '(?s)${ROOT_PATTERN}(?=.)', '')
       WHERE id LIKE '~%' AND CONVERT(id USING utf8mb4) REGEXP '(?s)${ROOT_PATTERN}.'`,
    ],
    // A branch begins with the items of the session `base` up to the number `high`, and has no copies of them. Items that it
    // has taken over name the session that they were written for.
    [
      `CREATE TABLE IF NOT EXISTS ${table('shares')} (
        session bigint NOT NULL PRIMARY KEY,
        base bigint NOT NULL,
        high bigint NOT NULL,
        KEY by_base (base)
      ) ${engine}`,
      {
        unless: hasColumn(`${prefix}items`, 'origin'),
        statement: `ALTER TABLE ${table('items')} ADD COLUMN origin varbinary(512)`,
      },
    ],
  ];
}

function hasColumn(table: string, column: string): string {
  return `EXISTS (SELECT 1 FROM information_schema.columns WHERE table_schema = database()
    AND table_name = '${table}' AND column_name = '${column}')`;
}

/** For a set-up by hand. The names in a statement have no quotation marks. */
function conditional({ unless, statement }: Exclude<Step, string>): string[] {
  return [
    `SET @strongroom_step = if(${unless}, 'DO 0', '${statement}')`,
    'PREPARE strongroom_step FROM @strongroom_step',
    'EXECUTE strongroom_step',
    'DEALLOCATE PREPARE strongroom_step',
  ];
}

/**
 * The statements of a set-up by hand.
 *
 * @param from The version that the database has, 0 for an empty one.
 */
export function setupStatements(prefix: string, from: number): string[] {
  const schema = tableName(prefix, 'schema');
  return [
    `CREATE TABLE IF NOT EXISTS ${schema} (version integer PRIMARY KEY) ENGINE=InnoDB`,
    ...migrations(prefix).flatMap((statements, index) =>
      index < from
        ? []
        : [
            ...statements.flatMap((step) => (typeof step === 'string' ? step : conditional(step))),
            `INSERT INTO ${schema} (version) VALUES (${index + 1}) ON DUPLICATE KEY UPDATE version = version`,
          ],
    ),
  ];
}
