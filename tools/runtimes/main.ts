/**
 * Runs the smoke suite on every runtime, and lets each open the records that the others sealed. The runtimes come
 * from npm: `npm ci --prefix tools/runtimes/packages`. Uses the built package (`npm run build`).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { generateKey } from 'strongroom';
import type { Given, Sealed } from './smoke.ts';

const HERE = import.meta.dirname;
const ROOT = resolve(HERE, '../..');
const MODULES = join(HERE, 'packages/node_modules');
const bin = (name: string): string => join(MODULES, '.bin', name);
const node = (version: number): string => join(MODULES, `node${version}`, 'bin', 'node');

const folder = mkdtempSync(join(tmpdir(), 'strongroom-runtimes-'));

/** The oldest date with `FinalizationRegistry`, which the memory bounds of wrappers need. */
const DATE = '2025-05-05';

const config = (flags: readonly string[]): string => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "${DATE}",
  compatibilityFlags = [${flags.map((flag) => `"${flag}"`).join(', ')}],
  bindings = [(name = "GIVEN", json = embed "given.json")],
))]);
`;

/** The command that starts the suite, in the folder of the bundles. */
const RUNTIMES: Readonly<Record<string, readonly [command: string, ...args: string[]]>> = {
  'Node 22': [node(22), '--disable-warning=ExperimentalWarning', 'cli.js'],
  'Node 24': [node(24), '--disable-warning=ExperimentalWarning', 'cli.js'],
  'Node 26': [node(26), '--disable-warning=ExperimentalWarning', 'cli.js'],
  Bun: [bin('bun'), 'cli.js'],
  Deno: [bin('deno'), 'run', '--allow-all', '--quiet', 'cli.js'],
  workerd: [bin('workerd'), 'test', 'plain.capnp'],
  'workerd with nodejs_compat': [bin('workerd'), 'test', 'compat.capnp'],
};

function call(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (status !== 0) throw new Error(`${error?.message ?? ''}${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

function bundle(entry: string): void {
  call(
    bin('esbuild'),
    [
      join(HERE, `${entry}.ts`),
      '--bundle',
      '--format=esm',
      '--log-level=warning',
      `--alias:strongroom=${join(ROOT, 'dist/index.js')}`,
      `--alias:strongroom/sqlite=${join(ROOT, 'dist/stores/sqlite.js')}`,
      // Loaded lazily, and not needed here.
      '--external:@openai/agents',
      '--external:node:*',
      `--outfile=${join(folder, `${entry}.js`)}`,
    ],
    ROOT,
  );
}

/** @returns The records that it sealed, and its other output. */
function run(runtime: string, given: Given): { readonly sealed: readonly Sealed[]; readonly note: string } {
  writeFileSync(join(folder, 'given.json'), JSON.stringify(given));
  const [command, ...args] = RUNTIMES[runtime] as readonly [string, ...string[]];
  const lines = call(command, args, folder).split('\n');
  const after = (word: string): string | undefined =>
    lines.find((line) => line.includes(`${word} `))?.replace(new RegExp(`^.*?${word} `), '');
  return { sealed: JSON.parse(after('sealed') ?? '') as Sealed[], note: after('note') ?? 'no SQLite' };
}

const failed: string[] = [];
function attempt<T>(name: string, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    failed.push(name);
    console.error(`FAILED  ${name}\n${(error as Error).message.slice(0, 3_000)}`);
    return undefined;
  }
}

try {
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'plain.capnp'), config([]));
  writeFileSync(join(folder, 'compat.capnp'), config(['nodejs_compat']));
  bundle('cli');
  bundle('worker');
  const keys = [await generateKey(), await generateKey({ alg: 'ECDH-ES+A256KW' })];
  const sealed: Record<string, readonly Sealed[]> = {};
  for (const runtime of Object.keys(RUNTIMES)) {
    const done = attempt(runtime, () => run(runtime, { keys, sealed: {} }));
    if (done === undefined) continue;
    sealed[runtime] = done.sealed;
    console.log(`passed  ${runtime} (${done.note})`);
  }
  for (const runtime of Object.keys(sealed)) {
    const name = `${runtime} opens what ${Object.keys(sealed).length} runtimes sealed`;
    if (attempt(name, () => run(runtime, { keys, sealed })) !== undefined) console.log(`passed  ${name}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (failed.length > 0) process.exit(1);
