import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** Runs a program in a separate Node.js process, and returns the number that it prints. */
export function numberFrom(args: readonly string[]): number {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...args],
    { cwd: ROOT, encoding: 'utf8', timeout: 300_000 },
  );
  const value = Number(stdout.trim() || Number.NaN);
  if (status !== 0 || Number.isNaN(value)) {
    throw new Error(`A child process ended with ${status}: node ${args.join(' ')}\n${stdout}${stderr}`);
  }
  return value;
}

let built = false;

/** Builds `dist` once, for measurements of the package. */
export function buildPackage(): void {
  if (built) return;
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm run build failed.\n${stdout}${stderr}`);
  built = true;
}
