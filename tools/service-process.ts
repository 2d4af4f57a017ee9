import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';

const SERVICE = resolve(import.meta.dirname, '..', 'examples', 'service');
const NODE = ['--conditions=strongroom-source', '--disable-warning=ExperimentalWarning'];

type Environment = Readonly<Record<string, string>>;

/** Sends a request to a process, or to the handler in this one. */
export type Send = (path: string, init?: RequestInit) => Response | Promise<Response>;

/** A process of the service of `examples/service`, as its host file starts it. */
export interface ServiceProcess {
  /** Its own port, on this machine. */
  readonly port: number;
  /** `fetch` of a path of it. */
  readonly send: Send;
  /** What it wrote to its standard output, line by line. */
  readonly lines: readonly string[];
  /** Sends a signal, and gives the exit code, or the signal that ended it. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string>;
}

/** What `setup.ts` writes for two tenants. */
export function settings(): Environment {
  return parseEnv(run('setup.ts', ['acme', 'globex'], {})) as Environment;
}

/** What `token.ts` prints. */
export function token(environment: Environment, tenant: string, user: string): string {
  return run('token.ts', [tenant, user], environment).trim();
}

function run(file: string, args: readonly string[], environment: Environment): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...NODE, join(SERVICE, file), ...args], {
    env: { ...plain(), ...environment },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${file}: ${stderr}`);
  return stdout;
}

/** Starts `node.ts` on a free port, and resolves when it listens. */
export async function startService(environment: Environment): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [...NODE, join(SERVICE, 'node.ts')], {
    env: { ...plain(), PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const exited = once(child, 'close') as Promise<[number | null, string | null]>;
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      const { listening } = JSON.parse(line) as { listening?: number };
      if (listening !== undefined) resolve(listening);
    });
    exited.then(([code]) => reject(new Error(`The service ended with ${code}.`)), reject);
  });
  return {
    port,
    send: async (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init),
    lines,
    async end(signal) {
      child.kill(signal);
      const [code, by] = await exited;
      return code ?? by ?? 'unknown';
    },
  };
}

function plain(): NodeJS.ProcessEnv {
  const { OPENAI_API_KEY: _key, DATABASE_URL: _database, ...environment } = process.env;
  return environment;
}
