/** The built command line in a project of its own, as users have it: with and without a terminal. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { onTestFinished } from 'vitest';
import { packedManifest } from '../../tools/packed-manifest.ts';
import { template } from './template.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** The package as `npm install` unpacks it, without declarations. */
function builtPackage(): Promise<string> {
  return template('cli-package', async (path) => {
    await mkdir(path);
    await run(process.execPath, [join(ROOT, 'tools/build.ts'), join(path, 'dist')]);
    const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Parameters<
      typeof packedManifest
    >[0];
    await writeFile(join(path, 'package.json'), JSON.stringify(packedManifest(manifest)));
    await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'));
  });
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves when the output so far, without escape sequences, has this text. */
  shows(text: string | RegExp): Promise<void>;
  /** The output so far, without escape sequences. */
  output(): string;
  type(text: string): void;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Where it runs, below the folder of the project. Default: there. */
  readonly folder?: string;
}

export interface Project {
  readonly folder: string;
  path(name: string): string;
  write(name: string, text: string): Promise<void>;
  read(name: string): Promise<string>;
  /** Without a terminal, to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Finished>;
  start(args: readonly string[], options?: RunOptions): Running;
  /** In a terminal, by `script` of util-linux. Both outputs are in `stdout`. */
  terminal(args: readonly string[], options?: { readonly env?: NodeJS.ProcessEnv }): Running;
}

/** A new folder with `strongroom` and the SDK in its `node_modules`, and this configuration. */
export async function projectWith(config: string): Promise<Project> {
  const built = await builtPackage();
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-cli-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, '@openai'), { recursive: true });
  await symlink(built, join(modules, 'strongroom'));
  await symlink(join(ROOT, 'node_modules/@openai/agents'), join(modules, '@openai/agents'));
  if (config !== '') await writeFile(join(folder, 'strongroom.config.mjs'), config);

  const bin = join(modules, 'strongroom/dist/cli/main.js');
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', bin];
  const begin = (command: readonly string[], env: NodeJS.ProcessEnv = {}, below = ''): Running =>
    follow(
      spawn(command[0] as string, command.slice(1), {
        cwd: join(folder, below),
        env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '', ...env },
      }),
    );
  const project: Project = {
    folder,
    path: (name) => join(folder, name),
    write: (name, text) => writeFile(join(folder, name), text),
    read: (name) => readFile(join(folder, name), 'utf8'),
    start: (args, { env, folder: below } = {}) => begin([...node, ...args], env, below),
    async run(args, options) {
      const running = project.start(args, options);
      running.process.stdin?.end();
      return running.finished;
    },
    terminal: (args, { env } = {}) =>
      // A shell that stays between the terminal and the command would get Ctrl-C too, and dash then ends with 130.
      begin(['script', '-qefc', `exec ${[...node, ...args].map(quoted).join(' ')}`, '/dev/null'], env),
  };
  return project;
}

function quoted(argument: string): string {
  return `'${argument.replaceAll("'", String.raw`'\''`)}'`;
}

function follow(child: ChildProcess): Running {
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  const seen = (): void => {
    for (const look of waiting) look();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += stripVTControlCharacters(text);
    seen();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += stripVTControlCharacters(text);
    seen();
  });
  const finished = new Promise<Finished>((done) => {
    child.on('close', (code, signal) => {
      done({ code, signal, stdout, stderr });
      seen();
    });
  });
  return {
    process: child,
    finished,
    type: (text) => void child.stdin?.write(text),
    output: () => stdout + stderr,
    shows: (text) =>
      new Promise((found, failed) => {
        const look = (): void => {
          const all = stdout + stderr;
          const is = typeof text === 'string' ? all.includes(text) : text.test(all);
          if (!is && child.exitCode === null && child.signalCode === null) return;
          waiting.delete(look);
          if (is) found();
          else failed(new Error(`The command ended without ${String(text)}:\n${all}`));
        };
        waiting.add(look);
        look();
      }),
  };
}

/** The JSON lines of an output. */
export function linesOf(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
