import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { fileLines } from '../file-lines.ts';
import { CommandError } from './exit-codes.ts';

/** A file of JSON lines that is complete or has another name, also after a crash. */
export interface LinesFile {
  /** Whether an earlier, interrupted run has written this document. */
  has(id: string): boolean;
  /** @throws {@link CommandError} `USAGE` when another process writes it too. */
  add(id: string, document: object): void;
  /** Gives the file its name. @throws the same. */
  finish(): void;
}

/**
 * Writes beside the file, under its name with `.partial`. When that exists it is continued after its last whole line.
 *
 * @param head What the file is about: its first line.
 * @throws {@link CommandError} `USAGE` when the file exists, or the partial one is about something else or is not ours.
 */
export async function openLinesFile(path: string, head: object): Promise<LinesFile> {
  refuseExisting(path);
  const partial = `${path}.partial`;
  const file = openOwn(partial);
  const first = JSON.stringify(head);
  const { done, bytes } = await earlierLines(file, partial, first);
  ftruncateSync(file, bytes);
  let written = bytes;
  // Two processes would write each session twice.
  const assertAlone = (): void => {
    if (fstatSync(file).size === written) return;
    throw new CommandError(
      'USAGE',
      `Another process has written into ${partial}. Let only one export write to a file, and start it again.`,
    );
  };
  const append = (line: string): void => {
    assertAlone();
    const text = Buffer.from(`${line}\n`);
    // writeSync() can write a part only.
    writeFileSync(file, text);
    written += text.byteLength;
  };
  if (bytes === 0) append(first);
  return {
    has: (id) => done.has(id),
    add(id, document) {
      append(JSON.stringify(document));
      done.add(id);
    },
    finish() {
      assertAlone();
      fsyncSync(file);
      closeSync(file);
      refuseExisting(path);
      renameSync(partial, path);
    },
  };
}

function refuseExisting(path: string): void {
  if (existsSync(path)) throw new CommandError('USAGE', `The file ${path} exists. Name a new one.`);
}

/** Clear text must not go through a link, or into a file that somebody else may read. */
function openOwn(partial: string): number {
  let file: number;
  try {
    const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW } = constants;
    // Windows has no O_NOFOLLOW, which is 0 here then.
    file = openSync(partial, O_APPEND | O_CREAT | O_RDWR | O_NOFOLLOW, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOOP') throw error;
    throw notOurs(partial);
  }
  const found = fstatSync(file);
  if (!found.isFile() || found.uid !== (process.getuid?.() ?? found.uid)) {
    closeSync(file);
    throw notOurs(partial);
  }
  fchmodSync(file, 0o600);
  return file;
}

function notOurs(partial: string): CommandError {
  return new CommandError('USAGE', `${partial} is a link, or belongs to another user. Name another file.`);
}

/** The documents that are in the file, and where the last whole line ends. */
async function earlierLines(
  file: number,
  partial: string,
  first: string,
): Promise<{ readonly done: Set<string>; readonly bytes: number }> {
  const { size } = fstatSync(file);
  const done = new Set<string>();
  let bytes = 0;
  // In pieces: a text cannot be longer than 512 MiB.
  for await (const line of fileLines(partial)) {
    if (bytes === 0 && line !== first && !(size === Buffer.byteLength(line) && first.startsWith(line))) {
      closeSync(file);
      throw new CommandError(
        'USAGE',
        `The file ${partial} is of another export that was interrupted. Finish that one, or delete the file.`,
      );
    }
    const end = bytes + Buffer.byteLength(line) + 1;
    if (end > size) break;
    const id = bytes === 0 ? undefined : idOf(line);
    // Of two processes at once: the rest is written again.
    if (bytes > 0 && (id === undefined || done.has(id))) break;
    if (id !== undefined) done.add(id);
    bytes = end;
  }
  return { done, bytes };
}

function idOf(line: string): string | undefined {
  try {
    return (JSON.parse(line) as { readonly sessionId?: string } | null)?.sessionId;
  } catch {
    return undefined;
  }
}
