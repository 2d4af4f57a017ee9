import { randomName } from '../../crypto/random.ts';
import { StrongroomError } from '../../errors.ts';
import type { AnnouncementListener, Channel } from '../announcements.ts';
import type { PGliteLike } from './pglite.ts';
import { tableName, type PostgresNames } from './schema.ts';

/** The part of a connected `pg` client that listening needs. */
export interface ListeningClient {
  query(sql: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
  on(event: 'notification', listener: (message: { channel: string; payload?: string }) => void): unknown;
  on(event: 'error' | 'end', listener: () => void): unknown;
}

const nameOf = ({ prefix }: PostgresNames): string => `${prefix}announce`;

/**
 * What makes the database announce each change, whoever makes it: a trigger on the row of the session, which every
 * change moves on. The channel is named by the table, so that schemas and prefixes do not hear each other.
 */
export function announceStatements(names: PostgresNames): string[] {
  const name = `"${nameOf(names)}"`;
  const called = names.schema === undefined ? name : `"${names.schema}".${name}`;
  return [
    `CREATE OR REPLACE FUNCTION ${called}() RETURNS trigger LANGUAGE plpgsql AS $announce$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM pg_notify('strongroom_' || TG_RELID, '0 0 ' || OLD.id);
  ELSIF TG_OP = 'INSERT' OR NEW.next_seq <> OLD.next_seq OR NEW.generation <> OLD.generation THEN
    PERFORM pg_notify('strongroom_' || TG_RELID, NEW.generation || ' ' || NEW.next_seq || ' ' || NEW.id);
  END IF;
  RETURN NULL;
END $announce$`,
    `CREATE TRIGGER ${name} AFTER INSERT OR UPDATE OR DELETE ON ${tableName(names, 'sessions')}
      FOR EACH ROW EXECUTE FUNCTION ${called}()`,
  ];
}

/** Asks for the channel, and whether the trigger is there. Two values: the table and the trigger's name. */
export const ANNOUNCES = `SELECT 'strongroom_' || to_regclass($1)::oid AS channel, EXISTS (SELECT 1 FROM pg_trigger
  WHERE tgrelid = to_regclass($1) AND tgname = $2 AND tgenabled IN ('O', 'A')) AS announces`;

export function announceValues(names: PostgresNames): [table: string, trigger: string] {
  return [tableName(names, 'sessions'), nameOf(names)];
}

function parse(payload: string): string | undefined {
  return /^\d+ \d+ ([^]+)$/.exec(payload)?.[1];
}

/**
 * Through `LISTEN` on a connection that does nothing else.
 *
 * @param close Ends the connection.
 * @param say Announces on a channel, over another connection: a pooler that hands connections on between transactions
 * takes `LISTEN` and delivers to whoever has the connection at the moment, which is us as long as we speak ourselves.
 */
export async function listen(
  client: ListeningClient,
  names: PostgresNames,
  changed: AnnouncementListener['changed'],
  close: Channel['close'],
  say: (channel: string) => Promise<unknown>,
): Promise<Channel> {
  const gone = new AbortController();
  client.on('error', () => gone.abort());
  client.on('end', () => gone.abort());
  const channel = await channelOf(client, names);
  const echo = `strongroom_${randomName()}`;
  let heard = (): void => undefined;
  client.on('notification', (message) => {
    if (message.channel === echo) heard();
    const id = message.channel === channel ? parse(message.payload ?? '') : undefined;
    if (id !== undefined) changed(id);
  });
  await client.query(`LISTEN "${channel}"`);
  await client.query(`LISTEN "${echo}"`);
  return {
    gone: gone.signal,
    close,
    async check() {
      const back = new Promise<void>((resolve) => (heard = resolve));
      await say(echo);
      await back;
    },
  };
}

/** PGlite is in this process: what it announces cannot get lost. */
export async function listenPGlite(
  database: PGliteLike,
  names: PostgresNames,
  changed: AnnouncementListener['changed'],
): Promise<Channel> {
  const close = await database.listen(await channelOf(database, names), (payload) => {
    const id = parse(payload);
    if (id !== undefined) changed(id);
  });
  return { check: () => Promise.resolve(), close };
}

async function channelOf(database: Pick<ListeningClient, 'query'>, names: PostgresNames): Promise<string> {
  const { rows } = await database.query(ANNOUNCES, announceValues(names));
  const { channel, announces } = rows[0] as { channel: string; announces: boolean };
  if (announces) return channel;
  throw new StrongroomError(
    'ERR_STORE',
    'openPostgres: the trigger that announces changes is missing. Let the store create its tables, or run ' +
      'postgresSetup({ push: true }).',
  );
}
