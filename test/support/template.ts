import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rename } from 'node:fs/promises';
import { join } from 'node:path';
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
  if (existsSync(made)) return made;
  const own = await mkdtemp(join(folder, 'new-'));
  await chmod(own, 0o755);
  const path = join(own, name);
  await make(path);
  try {
    await rename(path, made);
  } catch (error) {
    // Another process was faster; both made the same.
    if (!existsSync(made)) throw error;
  }
  return made;
}
