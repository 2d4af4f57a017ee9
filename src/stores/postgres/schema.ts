import { ROOT_PATTERN } from '../../derived-id.ts';
import type { TableName } from '../sql/dialect.ts';

/** Names of tables, quoted for PostgreSQL. */
export interface PostgresNames {
  readonly schema: string | undefined;
  readonly prefix: string;
}

export function tableName({ schema, prefix }: PostgresNames, name: TableName): string {
  const table = `"${prefix}${name}"`;
  return schema === undefined ? table : `"${schema}".${table}`;
}

/**
 * The statements of each version, in order; they are never changed, only added (see CONTRIBUTING.md): a database of
 * the version before gets this one.
 *
 * Text, never `jsonb`: that re-orders keys, changes numbers and cannot hold `\u0000`. Ids compare by bytes
 * (`COLLATE "C"`). Envelope bodies are ciphertext, so compression would not help (`STORAGE EXTERNAL`). Times are
 * indexed as bounds of whole sessions (see first-times.ts), which an append does not change.
 */
export function migrations(names: PostgresNames): readonly (readonly string[])[] {
  const table = (name: TableName): string => tableName(names, name);
  const index = (name: string): string => `"${names.prefix}${name}"`;
  const inSchema = (name: string): string =>
    names.schema === undefined ? index(name) : `"${names.schema}".${index(name)}`;
  return [
    [
      `CREATE TABLE ${table('sessions')} (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id text COLLATE "C" NOT NULL UNIQUE,
        subject text COLLATE "C",
        next_seq bigint NOT NULL,
        generation bigint NOT NULL,
        first_expiry_at bigint,
        first_birth_at bigint
      )`,
      `CREATE INDEX ${index('sessions_subject')} ON ${table('sessions')} (subject, id) WHERE subject IS NOT NULL`,
      `CREATE INDEX ${index('sessions_expiry')} ON ${table('sessions')} (first_expiry_at) WHERE first_expiry_at IS NOT NULL`,
      `CREATE INDEX ${index('sessions_birth')} ON ${table('sessions')} (first_birth_at)`,
      `CREATE TABLE ${table('items')} (
        session bigint NOT NULL,
        seq bigint NOT NULL,
        written_at bigint NOT NULL,
        expires_at bigint,
        born_at bigint,
        dek bigint,
        head text,
        wrapped text,
        item text,
        body bytea,
        PRIMARY KEY (session, seq)
      )`,
      `ALTER TABLE ${table('items')} ALTER COLUMN body SET STORAGE EXTERNAL`,
      `CREATE TABLE ${table('operations')} (
        session bigint NOT NULL,
        operation text COLLATE "C" NOT NULL,
        digest text NOT NULL,
        position bigint NOT NULL,
        PRIMARY KEY (session, operation)
      )`,
      `CREATE TABLE ${table('deks')} (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        session text COLLATE "C" NOT NULL,
        did text COLLATE "C" NOT NULL,
        kid text COLLATE "C" NOT NULL,
        wrapped text,
        created_at bigint NOT NULL,
        destroyed_at bigint,
        UNIQUE (session, did)
      )`,
      `CREATE TABLE ${table('holds')} (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id text COLLATE "C" NOT NULL UNIQUE,
        session text COLLATE "C" NOT NULL,
        reason text NOT NULL,
        placed_at bigint NOT NULL,
        placed_by text,
        released_at bigint,
        released_by text
      )`,
      `CREATE INDEX ${index('holds_open')} ON ${table('holds')} (session) WHERE released_at IS NULL`,
      `CREATE TABLE ${table('leases')} (
        name text COLLATE "C" PRIMARY KEY,
        owner text NOT NULL,
        expires_at bigint NOT NULL
      )`,
    ],
    // The first version was edited in place for a while: a database has the schema of the time when it was created.
    [
      `ALTER TABLE ${table('sessions')} ADD COLUMN IF NOT EXISTS first_expiry_at bigint`,
      `ALTER TABLE ${table('sessions')} ADD COLUMN IF NOT EXISTS first_birth_at bigint`,
      `UPDATE ${table('sessions')} s SET
         first_expiry_at = (SELECT min(expires_at) FROM ${table('items')} WHERE session = s.number),
         first_birth_at = (SELECT min(coalesce(born_at, written_at)) FROM ${table('items')} WHERE session = s.number)
       WHERE first_birth_at IS NULL AND EXISTS (SELECT 1 FROM ${table('items')} WHERE session = s.number)`,
      `DROP INDEX IF EXISTS ${inSchema('items_expiry')}, ${inSchema('items_birth')}`,
      `CREATE INDEX IF NOT EXISTS ${index('sessions_expiry')} ON ${table('sessions')} (first_expiry_at)
       WHERE first_expiry_at IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS ${index('sessions_birth')} ON ${table('sessions')} (first_birth_at)`,
      `CREATE TABLE IF NOT EXISTS ${table('holds')} (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id text COLLATE "C" NOT NULL UNIQUE,
        session text COLLATE "C" NOT NULL,
        reason text NOT NULL,
        placed_at bigint NOT NULL,
        placed_by text,
        released_at bigint,
        released_by text
      )`,
      `CREATE INDEX IF NOT EXISTS ${index('holds_open')} ON ${table('holds')} (session) WHERE released_at IS NULL`,
      `ALTER TABLE ${table('leases')} DROP COLUMN IF EXISTS token`,
    ],
    // Announcements name no session, and use a channel whose name only roles that may read the secret know.
    announceFunction(names),
    // The conversation of a session, from its id: so that the derived sessions of one are found without a scan.
    [
      `ALTER TABLE ${table('sessions')} ADD COLUMN root text COLLATE "C"`,
      `UPDATE ${table('sessions')} SET root = regexp_replace(id, '${ROOT_PATTERN}(.)', '\\2')
       WHERE id ~ '${ROOT_PATTERN}.'`,
      `CREATE INDEX ${index('sessions_root')} ON ${table('sessions')} (root) WHERE root IS NOT NULL`,
    ],
    // A branch begins with the items of the session `base` up to the number `high`, and has no copies of them. Items that it
    // has taken over name the session that they were written for.
    [
      `CREATE TABLE ${table('shares')} (session bigint PRIMARY KEY, base bigint NOT NULL, high bigint NOT NULL)`,
      `CREATE INDEX ${index('shares_base')} ON ${table('shares')} (base)`,
      `ALTER TABLE ${table('items')} ADD COLUMN origin text COLLATE "C"`,
    ],
  ];
}

/** The names for announcements: of the trigger, of its function, and of the table of the secret. */
export function announceNames(names: PostgresNames): {
  readonly trigger: string;
  readonly called: string;
  readonly key: string;
} {
  const inSchema = (name: string): string =>
    names.schema === undefined ? `"${names.prefix}${name}"` : `"${names.schema}"."${names.prefix}${name}"`;
  return {
    trigger: `"${names.prefix}announce"`,
    called: inSchema('announce'),
    key: inSchema('announce_key'),
  };
}

/**
 * The function runs as its owner, so that writers need no right on the secret. It has a search path of its own, so
 * that nobody can replace the functions that it calls.
 */
function announceFunction(names: PostgresNames): string[] {
  const { called, key } = announceNames(names);
  return [
    `CREATE TABLE IF NOT EXISTS ${key} (secret bytea NOT NULL)`,
    `REVOKE ALL ON ${key} FROM PUBLIC`,
    `INSERT INTO ${key} SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
     WHERE NOT EXISTS (SELECT 1 FROM ${key})`,
    `DO $do$ BEGIN EXECUTE format($create$
CREATE OR REPLACE FUNCTION ${called}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, %I, pg_temp AS $announce$
DECLARE
  key bytea := (SELECT secret FROM ${key});
  id bytea;
BEGIN
  IF TG_OP = 'DELETE' THEN
    id := convert_to(OLD.id, 'UTF8');
  ELSIF TG_OP = 'INSERT' OR NEW.next_seq <> OLD.next_seq OR NEW.generation <> OLD.generation THEN
    id := convert_to(NEW.id, 'UTF8');
  ELSE
    RETURN NULL;
  END IF;
  PERFORM pg_notify('strongroom_' || left(encode(sha256(key || 'channel'::bytea), 'hex'), 40),
    encode(sha256(key || sha256(key || id)), 'hex'));
  RETURN NULL;
END $announce$
$create$, (SELECT nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE c.oid = '${key}'::regclass)); END $do$`,
    `REVOKE ALL ON FUNCTION ${called}() FROM PUBLIC`,
  ];
}

/**
 * The statements of a set-up by hand.
 *
 * @param from The version that the database has, 0 for an empty one.
 */
export function setupStatements(names: PostgresNames, from: number): string[] {
  const schema = tableName(names, 'schema');
  return [
    ...(names.schema === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS "${names.schema}"`]),
    `CREATE TABLE IF NOT EXISTS ${schema} (version integer PRIMARY KEY)`,
    ...migrations(names).flatMap((statements, index) =>
      index < from ? [] : [...statements, `INSERT INTO ${schema} (version) VALUES (${index + 1})`],
    ),
  ];
}
