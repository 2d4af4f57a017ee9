import { connect } from 'node:net';
import { randomBytes } from 'node:crypto';

/** The database servers that tests use when they answer. */
export const SERVERS: Readonly<Record<ServerName, string>> = {
  PostgreSQL: process.env['TEST_POSTGRES_URL'] ?? 'postgres://postgres@127.0.0.1:5432/test',
  MariaDB: process.env['TEST_MYSQL_URL'] ?? 'mysql://root@127.0.0.1:3306/test',
  Redis: process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379',
};

export type ServerName = 'PostgreSQL' | 'MariaDB' | 'Redis';

/**
 * Whether the server is absent, said loudly, so that its suites are skipped; in CI that is a failure.
 *
 * @param what The suites that are skipped.
 */
export async function announce(
  server: ServerName,
  what: string,
): Promise<{ readonly url: string; readonly absent: boolean }> {
  const url = SERVERS[server];
  const absent = !(await answers(url));
  if (absent) {
    const message = `SKIPPED: ${what}: no ${server} answers at ${new URL(url).host}.`;
    if (process.env['CI'] !== undefined) throw new Error(message);
    console.warn(message);
  }
  return { url, absent };
}

function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), timeout: 2_000 });
    const done = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', done(true)).on('error', done(false)).on('timeout', done(false));
  });
}

/** A name that no other test run uses. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(5).toString('hex')}`;
}
