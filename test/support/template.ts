import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { chmod, mkdtemp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inject } from 'vitest';
import './templates-folder.ts';

const making = new Map<string, Promise<string>>();

/**
 * The path of something that takes seconds to make and is the same for every test, such as the files of an empty database. The
 * first that asks in a run makes it; whoever asks copies it.
 *
 * @param make Makes it at the path that it is given.
 */
export function template(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const made = making.get(name) ?? makeOnce(name, make);
  making.set(name, made);
  return made;
}

async function makeOnce(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const folder = inject('templates');
  const made = join(folder, name);
  const lock = `${made}.lock`;
  while (!existsSync(made)) {
    if (!locked(lock)) {
      await delay(100);
      continue;
    }
    try {
      const own = await mkdtemp(join(folder, 'new-'));
      await chmod(own, 0o755);
      const path = join(own, name);
      await make(path);
      await rename(path, made);
    } finally {
      // Whoever waits tries it next when this one failed.
      rmdirSync(lock);
    }
  }
  return made;
}

/** Whether this process is the one that makes it. */
function locked(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    return false;
  }
}
