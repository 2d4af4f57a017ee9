import { createHash } from 'node:crypto';
import { randomName } from '../../crypto/random.ts';
import { StrongroomError } from '../../errors.ts';
import type { AnnouncementListener, Channel } from '../announcements.ts';
import { announceNames, tableName, type PostgresNames } from './schema.ts';

/** The part of a connected `pg` client that listening needs. */
export interface ListeningClient {
  query(sql: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
  on(event: 'notification', listener: (message: { channel: string; payload?: string }) => void): unknown;
  on(event: 'error' | 'end', listener: () => void): unknown;
}

/**
 * Makes the database announce each change by any program: a trigger on the row of the session, which every change
 * updates. Its function is part of the schema, see schema.ts.
 */
export function announceStatements(names: PostgresNames): string[] {
  const { trigger, called } = announceNames(names);
  const sessions = tableName(names, 'sessions');
  return [
    `DROP TRIGGER IF EXISTS ${trigger} ON ${sessions}`,
    `CREATE TRIGGER ${trigger} AFTER INSERT OR UPDATE OR DELETE ON ${sessions} FOR EACH ROW EXECUTE FUNCTION ${called}()`,
  ];
}

/** Whether the trigger is there. Two values: the table and the trigger's name. */
export const ANNOUNCES = `EXISTS (SELECT 1 FROM pg_trigger
  WHERE tgrelid = to_regclass(?) AND tgname = ? AND tgenabled IN ('O', 'A')) AS announces`;

export function announceValues(names: PostgresNames): [table: string, trigger: string] {
  return [tableName(names, 'sessions'), `${names.prefix}announce`];
}

const hash = (...pieces: readonly Uint8Array[]): Buffer => {
  const digest = createHash('sha256');
  for (const piece of pieces) digest.update(piece);
  return digest.digest();
};

/** The channel and the names of announcements, which only roles that may read the table of the secret know. */
interface Secret {
  readonly channel: string;
  readonly nameOf: Channel['nameOf'];
}

/** In step with the function of the trigger. */
function secretOf(hex: string): Secret {
  const key = Buffer.from(hex, 'hex');
  return {
    channel: `strongroom_${hash(key, Buffer.from('channel')).toString('hex').slice(0, 40)}`,
    nameOf: (sessionId) => hash(key, hash(key, Buffer.from(sessionId))).toString('hex'),
  };
}

/** Numbered placeholders, for clients of the application. */
export const numbered = (sql: string): string => {
  let place = 0;
  return sql.replace(/\?/g, () => `$${++place}`);
};

/**
 * Sends a test announcement to the listeners of the channel, if the trigger would send it: with another secret it
 * is sent to another channel, and without the trigger not at all. Three values: the text, and those of {@link
 * ANNOUNCES}.
 */
const sayOn = (
  names: PostgresNames,
): string => `SELECT pg_notify('strongroom_' || left(encode(sha256(secret || 'channel'::bytea), 'hex'), 40), ?)
  FROM ${announceNames(names).key} WHERE (SELECT announces FROM (SELECT ${ANNOUNCES}) t)`;

/**
 * Through `LISTEN` on a connection that does nothing else.
 *
 * @param close Ends the connection.
 * @param run Runs a statement on another connection: a pooler that shares connections between transactions accepts
 * `LISTEN` and delivers to the client that has the connection at that time, which is this one while it runs
 * statements.
 */
export async function listen(
  client: ListeningClient,
  names: PostgresNames,
  changed: AnnouncementListener['changed'],
  close: Channel['close'],
  run: (sql: string, values: readonly string[]) => Promise<unknown>,
): Promise<Channel> {
  const gone = new AbortController();
  client.on('error', () => gone.abort());
  client.on('end', () => gone.abort());
  const secret = await askSecret(client, names);
  const { heard, check } = echoes(names, changed, run);
  client.on('notification', (message) => {
    if (message.channel === secret.channel) heard(message.payload ?? '');
  });
  await client.query(`LISTEN "${secret.channel}"`);
  return { gone: gone.signal, close, check, nameOf: secret.nameOf };
}

/** Handles messages of the channel: names of sessions, and the test announcements of listeners. */
export function echoes(
  names: PostgresNames,
  changed: AnnouncementListener['changed'],
  run: (sql: string, values: readonly string[]) => Promise<unknown>,
): { readonly heard: (payload: string) => void; readonly check: Channel['check'] } {
  let expected = '';
  let arrived = (): void => undefined;
  return {
    heard(payload) {
      if (!payload.startsWith('!')) changed(payload);
      else if (payload === expected) arrived();
    },
    async check() {
      // Another one each time, so that a late or repeated one does not count.
      expected = `!${randomName()}`;
      const back = new Promise<void>((resolve) => (arrived = resolve));
      await run(sayOn(names), [expected, ...announceValues(names)]);
      await back;
    },
  };
}

export async function askSecret(
  database: Pick<ListeningClient, 'query'>,
  names: PostgresNames,
): Promise<Secret> {
  const sql = `SELECT encode(secret, 'hex') AS secret, ${ANNOUNCES} FROM ${announceNames(names).key}`;
  const { rows } = await database.query(numbered(sql), announceValues(names));
  const [row] = rows as { secret: string; announces: boolean }[];
  if (row?.announces === true) return secretOf(row.secret);
  throw new StrongroomError(
    'ERR_STORE',
    'openPostgres: the trigger that announces changes is missing. Let the store create its tables, or run ' +
      'postgresSetup({ push: true }).',
  );
}
