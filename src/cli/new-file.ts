import { closeSync, fsyncSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { CommandError } from './exit-codes.ts';

/** A new file, made before its content is there: a place that cannot be written is found early. */
export interface NewFile {
  readonly path: string;
  /** Once. */
  write(text: string): void;
  /** Instead, or after a write that failed. */
  remove(): void;
}

/** @throws {@link CommandError} `USAGE` for a file that exists, and for a place that cannot be written. */
export function newFile(path: string, mode: number): NewFile {
  const file = openNew(path, mode);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(file);
    isOpen = false;
  };
  return {
    path,
    write(text) {
      writeFileSync(file, text);
      fsyncSync(file);
      close();
    },
    remove() {
      close();
      rmSync(path, { force: true });
    },
  };
}

function openNew(path: string, mode: number): number {
  try {
    return openSync(path, 'wx', mode);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new CommandError(
      'USAGE',
      code === 'EEXIST'
        ? `The file ${path} exists, and may be needed. Choose another name.`
        : `The file ${path} cannot be written (${code}). Choose another name.`,
    );
  }
}
