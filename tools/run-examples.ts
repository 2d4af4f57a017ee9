/**
 * Runs every file of `examples/` that is a program, each in a separate process and in a new empty folder, without a
 * key and without network. An example that fails, hangs or prints nothing fails the run.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const TIMEOUT_MS = 60_000;

let failed = 0;
const examples = globSync('{*,recipes/*}.ts', { cwd: join(ROOT, 'examples') })
  // Other examples run it.
  .filter((file) => !file.endsWith('.config.ts'))
  .toSorted();
for (const example of examples) {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-example-'));
  const { OPENAI_API_KEY: _key, ...environment } = process.env;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--conditions=strongroom-source',
      '--disable-warning=ExperimentalWarning',
      join(ROOT, 'examples', example),
    ],
    { cwd: folder, env: environment, encoding: 'utf8', timeout: TIMEOUT_MS },
  );
  const passed = status === 0 && stdout.trim() !== '';
  if (!passed) failed++;
  console.log(`${passed ? 'passed' : 'FAILED'}  examples/${example}`);
  if (!passed) console.log(`${stdout}${stderr}(exit ${status ?? signal ?? 'unknown'})`);
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${examples.length} examples, ${failed} failed.`);
if (failed > 0 || examples.length === 0) process.exitCode = 1;
