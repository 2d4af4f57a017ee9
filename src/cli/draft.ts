import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { randomName } from '../crypto/random.ts';
import { newFile } from './new-file.ts';

/** A file beside the one that is wanted, which gets its name when it is whole. */
export interface Draft {
  /** Writes it and gives it the name, also when that is taken. Once. */
  finish(text: string): void;
  /** Instead, or after a `finish` that failed. */
  remove(): void;
}

/** @throws {@link CommandError} `USAGE` for a place that cannot be written. */
export function newDraft(path: string, mode: number): Draft {
  const file = newFile(`${path}.${process.pid}.${randomName()}.new`, mode);
  return {
    finish(text) {
      file.write(text);
      renameSync(file.path, path);
    },
    remove: () => file.remove(),
  };
}

/**
 * Removes the drafts of this file that killed processes have left, where nothing is lost with them.
 *
 * @param isWorthless Whether a draft of this many bytes may go.
 * @returns The paths of those that stay.
 */
export function removeLeftDrafts(path: string, isWorthless: (bytes: number) => boolean): string[] {
  const name = basename(path);
  const left: string[] = [];
  for (const each of namesIn(dirname(path))) {
    const pid = each.startsWith(`${name}.`)
      ? /^(\d+)\.[\w-]+\.new$/.exec(each.slice(name.length + 1))?.[1]
      : undefined;
    if (pid === undefined || isAlive(Number(pid))) continue;
    const draft = join(dirname(path), each);
    const size = statSync(draft, { throwIfNoEntry: false })?.size;
    if (size === undefined) continue;
    if (isWorthless(size)) rmSync(draft, { force: true });
    else left.push(draft);
  }
  return left;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // The place is refused when the draft is made.
    return [];
  }
}

/** A process of another container with this folder can look dead. Its rename fails then, which it reports. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
