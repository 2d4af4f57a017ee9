import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { CommandError } from './exit-codes.ts';

/** A file of JSON lines that is complete or has another name, also after a crash. */
export interface LinesFile {
  /** Whether an earlier, interrupted run has written this document. */
  has(id: string): boolean;
  add(id: string, document: object): void;
  /** Gives the file its name. */
  finish(): void;
}

/**
 * Writes beside the file, under its name with `.partial`. When that exists it is continued after its last whole line.
 *
 * @param head What the file is about: its first line.
 * @throws {@link CommandError} `USAGE` when the file exists, or the partial one is about something else.
 */
export function openLinesFile(path: string, head: object): LinesFile {
  if (existsSync(path)) throw new CommandError('USAGE', `The file ${path} exists. Name a new one.`);
  const partial = `${path}.partial`;
  const file = openSync(partial, 'a+', 0o600);
  const first = `${JSON.stringify(head)}\n`;
  const text = readFileSync(partial, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole !== '' && !whole.startsWith(first)) {
    closeSync(file);
    throw new CommandError(
      'USAGE',
      `The file ${partial} is of another export that was interrupted. Finish that one, or delete the file.`,
    );
  }
  ftruncateSync(file, Buffer.byteLength(whole));
  if (whole === '') writeSync(file, first);
  const done = new Set(
    whole
      .split('\n')
      .slice(1, -1)
      .map((line) => (JSON.parse(line) as { readonly sessionId: string }).sessionId),
  );
  return {
    has: (id) => done.has(id),
    add(id, document) {
      writeSync(file, `${JSON.stringify(document)}\n`);
      done.add(id);
    },
    finish() {
      fsyncSync(file);
      closeSync(file);
      renameSync(partial, path);
    },
  };
}
