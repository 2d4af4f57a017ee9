import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of its own and of a fixed size. */
export interface SmallDisk {
  readonly folder: string;
  /** Leaves no byte free. */
  fill(): void;
  /** Gives back what {@link SmallDisk.fill} took. */
  free(): void;
  /** Nothing may be open for writing. */
  setReadOnly(readOnly: boolean): void;
  destroy(): void;
}

const BLOCK = Buffer.alloc(64 * 1024);

/** @throws When this process may not mount. */
export function smallDisk(megabytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', folder], {
      stdio: 'pipe',
    });
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill() {
      const file = openSync(ballast, 'a');
      try {
        for (;;) if (writeSync(file, BLOCK) < BLOCK.length) return;
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(ballast, { force: true }),
    setReadOnly(readOnly) {
      execFileSync('mount', ['-o', `remount,${readOnly ? 'ro' : 'rw'}`, folder]);
    },
    destroy() {
      // Lazily: a server that was killed may hold a file for a moment.
      execFileSync('umount', ['--lazy', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whether this process may not mount a file system, said loudly; in CI that is a failure. */
export function withoutMount(what: string): boolean {
  try {
    smallDisk(1).destroy();
    return false;
  } catch (error) {
    const message = `SKIPPED: ${what}: this process may not mount a file system.`;
    if (process.env['CI'] !== undefined) throw new Error(message, { cause: error });
    console.warn(message);
    return true;
  }
}
