import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from './own-server.ts';

/** PgBouncer with its default settings, before a server that exists. */
export interface Pooler {
  readonly url: string;
  close(): Promise<void>;
}

const PROGRAM = '/usr/sbin/pgbouncer';

/** Whether the program is absent, said loudly; in CI that is a failure. */
export function withoutPooler(what: string): boolean {
  if (existsSync(PROGRAM)) return false;
  const message = `SKIPPED: ${what}: pgbouncer is not installed.`;
  if (process.env['CI'] !== undefined) throw new Error(message);
  console.warn(message);
  return true;
}

/** @param mode In transaction mode it lends a connection for one transaction only, and then to whoever comes next. */
export async function startPooler(
  server: string,
  mode: 'transaction' | 'session' = 'transaction',
  settings: readonly string[] = [],
): Promise<Pooler> {
  const { hostname, port, username, pathname } = new URL(server);
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-pooler-'));
  const own = await freePort();
  const file = join(folder, 'pgbouncer.ini');
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${port === '' ? '5432' : port} user=${username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
${settings.join('\n')}
`,
  );
  await chmod(folder, 0o755);
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  const child = spawn(PROGRAM, [file], { stdio: 'ignore', ...user });
  const url = `postgres://${username}@127.0.0.1:${own}${pathname}`;
  for (let attempt = 0; !(await answers(url)); attempt++) {
    if (attempt === 100) throw new Error('PgBouncer does not start');
    await delay(100);
  }
  return {
    url,
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

function idOf(which: '-u' | '-g'): number {
  return Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }));
}

async function answers(url: string): Promise<boolean> {
  const client = new Client(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
