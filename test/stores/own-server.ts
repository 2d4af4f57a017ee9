import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { template } from '../support/template.ts';
import type { ServerName } from './servers.ts';

/** A database server of a test's own: free port, own data folder, to be stopped and killed as the test likes. */
export interface OwnServer {
  readonly url: string;
  /** Where it keeps everything. */
  readonly folder: string;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** Resolves when the process has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Ends it and deletes its data. */
  destroy(): Promise<void>;
}

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;

/** PostgreSQL refuses to run as root. */
const asPostgres = isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];

function find(name: string): string | undefined {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    '/usr/sbin',
    ...versions.map((version) => `/usr/lib/postgresql/${version}/bin`),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

const BINARIES: Readonly<Record<ServerName, readonly string[]>> = {
  PostgreSQL: ['postgres', 'initdb', 'pg_basebackup'],
  MariaDB: ['mariadbd', 'mariadb-install-db'],
  Redis: ['redis-server'],
};

/** Whether the server's programs are absent, said loudly; in CI that is a failure. */
export function withoutBinaries(server: ServerName, what: string, besides: readonly string[] = []): boolean {
  const missing = [...BINARIES[server], ...besides].filter((name) => find(name) === undefined);
  if (missing.length === 0) return false;
  const message = `SKIPPED: ${what}: ${missing.join(', ')} not found.`;
  if (process.env['CI'] !== undefined) throw new Error(message);
  console.warn(message);
  return true;
}

/** Its default log takes 96 MB. */
const MARIADB = ['--innodb-log-file-size=8M', ...(isRoot ? ['--user=root'] : [])];

/** The files of an empty PostgreSQL. */
function postgresFiles(password: string): Promise<string> {
  return template(`PostgreSQL of ${password}`, async (path) => {
    const passwordFile = join(dirname(path), 'password');
    await writeFile(passwordFile, password);
    if (isRoot) await run('chown', ['-R', 'postgres', dirname(path)]);
    const [program, ...rest] = [...asPostgres, find('initdb') as string];
    const login = ['-U', 'owner', '-A', 'scram-sha-256', '--pwfile', passwordFile];
    await run(program, [...rest, '-D', path, ...login, '-N']);
    // A third of all files, which only pg_dump and CREATE DATABASE could ask for.
    const single = [...asPostgres, find('postgres') as string, '--single', '-F', '-D', path, 'postgres'];
    const dropping = run(single[0] as string, single.slice(1));
    dropping.child.stdin?.end(
      "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'\nDROP DATABASE template0\n",
    );
    await dropping;
  });
}

/** The files of an empty MariaDB. */
function mariadbFiles(): Promise<string> {
  return template('MariaDB', async (path) => {
    await run(find('mariadb-install-db') as string, [
      '--no-defaults',
      `--datadir=${path}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      // Several of these at once are in each other's way in the common one.
      `--tmpdir=${dirname(path)}`,
      ...MARIADB,
    ]);
  });
}

async function copy(files: string, to: string): Promise<void> {
  await run('cp', ['-a', files, to]);
}

/** Options of {@link ownServer}. */
export interface OwnServerOptions {
  /** For PostgreSQL: asked for, unlike on a development server that trusts everybody. Default `'secret'`. */
  readonly password?: string;
  /** An empty folder for its data. Default: a temporary one. */
  readonly folder?: string;
  /** What its program is told besides, in its own words. */
  readonly settings?: readonly string[];
  /** The URL of a server of the same kind and password, which runs: it becomes a replica of that one. Not MariaDB. */
  readonly replicaOf?: string;
}

export async function ownServer(server: ServerName, options: OwnServerOptions = {}): Promise<OwnServer> {
  const { password = 'secret', settings = [], replicaOf } = options;
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'strongroom-server-')));
  const port = await freePort();
  const data = join(folder, 'data');
  let command: readonly string[];
  let url: string;
  switch (server) {
    case 'PostgreSQL':
      if (isRoot) await run('chown', ['postgres', folder]);
      if (replicaOf === undefined) await copy(await postgresFiles(password), data);
      else {
        const [program, ...rest] = [...asPostgres, find('pg_basebackup') as string];
        await run(program, [...rest, '-D', data, '-R', '-c', 'fast', '-d', replicaOf]);
      }
      command = [
        ...asPostgres,
        find('postgres') as string,
        '-D',
        data,
        '-p',
        String(port),
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        `unix_socket_directories=${folder}`,
        ...settings,
      ];
      url = `postgres://owner:${password}@127.0.0.1:${port}/postgres`;
      break;
    case 'MariaDB':
      await copy(await mariadbFiles(), data);
      await writeFile(join(folder, 'init.sql'), 'CREATE DATABASE IF NOT EXISTS test;\n');
      command = [
        find('mariadbd') as string,
        '--no-defaults',
        ...MARIADB,
        `--datadir=${data}`,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        `--socket=${join(folder, 'socket')}`,
        // Not a common folder: each server that starts deletes all temporary tables in it, and one that misses its own crashes.
        `--tmpdir=${folder}`,
        `--init-file=${join(folder, 'init.sql')}`,
        '--innodb-buffer-pool-size=32M',
        ...settings,
      ];
      url = `mysql://root@127.0.0.1:${port}/test`;
      break;
    case 'Redis':
      command = [
        find('redis-server') as string,
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
        '--save',
        '',
        '--appendonly',
        'yes',
        '--appendfsync',
        'always',
        ...(replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', new URL(replicaOf).port]),
        ...settings,
      ];
      url = `redis://127.0.0.1:${port}`;
      break;
  }
  if (isRoot) await chmod(folder, 0o755);

  let child: ChildProcess | undefined;
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const closed = once(ending, 'exit');
    // SIGTERM is PostgreSQL's smart shutdown, which waits until every client has gone; SIGINT is the fast one.
    ending.kill(signal === 'SIGTERM' && server === 'PostgreSQL' ? 'SIGINT' : signal);
    await closed;
    // A killed PostgreSQL leaves children for a moment; they hold the shared memory of the data folder.
    if (signal === 'SIGKILL' && server === 'PostgreSQL') await delay(300);
  };
  return {
    url,
    folder,
    async start() {
      const [program = '', ...rest] = command;
      for (let attempt = 0; ; attempt++) {
        const starting = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
        child = starting;
        const output = lastOutput(starting);
        if (await serves(server, url, starting)) {
          // Tests that follow see only that nothing answers, so what the server said before it ended is said here.
          starting.once('exit', (code, signal) => {
            if (child !== starting) return;
            console.error(
              `${server} of a test ended by itself (code ${code}, signal ${signal}).\n${output()}`,
            );
          });
          return;
        }
        if (attempt === 20) throw new Error(`${server} does not start.\n${output()}`);
        await delay(200);
      }
    },
    kill,
    async destroy() {
      await kill('SIGKILL');
      if (options.folder === undefined) {
        await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
      }
    },
  };
}

/** Gives the end of what a program has written so far. */
function lastOutput(program: ChildProcess): () => string {
  let written = '';
  for (const stream of [program.stdout, program.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      written = (written + text).slice(-8_000);
    });
  }
  return () => written;
}

/** Servers accept connections before they serve them, so one is asked for. */
async function serves(server: ServerName, url: string, child: ChildProcess): Promise<boolean> {
  for (let attempt = 0; attempt < 300 && child.exitCode === null && child.signalCode === null; attempt++) {
    try {
      await PROBES[server](url);
      return true;
    } catch {
      await delay(50);
    }
  }
  return false;
}

const PROBES: Readonly<Record<ServerName, (url: string) => Promise<void>>> = {
  async PostgreSQL(url) {
    const client = new Client(url);
    client.on('error', () => undefined);
    await client.connect();
    await client.end();
  },
  async MariaDB(url) {
    const connection = await createConnection(url);
    await connection.end();
  },
  async Redis(url) {
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on('error', () => undefined);
    await client.connect();
    // It refuses everything but this while it loads its data, and a node of a cluster refuses it when it has done that.
    const asked = client.get('probe').catch((error: Error) => {
      if (!/^(?:CLUSTERDOWN|MOVED)/.test(error.message)) throw error;
    });
    await asked.finally(() => client.destroy());
  },
};

/**
 * A port that nothing listens on. It lies below those that Linux gives to connections by itself (32768 and above), so that a
 * server which is stopped and started again finds it free: a connection of another test may have any of those.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer().listen(port, '127.0.0.1');
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Text that occurs nowhere else, to be searched in data files. */
export function canary(): string {
  return randomBytes(12).toString('hex');
}
