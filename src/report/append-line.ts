import { open, type FileHandle } from 'node:fs/promises';

const NEWLINE = 10;
const MOST_ATTEMPTS = 4;

/**
 * Appends a line to a file of lines. A line of which only a part was written, by a full disk or a process that ended, stays as it is, and
 * the next one, of any process, begins after a line break: readers lose the one line.
 *
 * @throws the error of the file system when the whole line could not be written.
 */
export async function appendLine(path: string, line: string, mode: number): Promise<void> {
  const file = await openToAppend(path, mode);
  try {
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      const text = Buffer.from(`${(await endsInLine(file)) ? '\n' : ''}${line}\n`);
      const { bytesWritten } = await file.write(text);
      if (bytesWritten === text.length) return;
      // The rest would stand behind what another process has written meanwhile. The next attempt is whole, or says why not.
    }
    throw new Error(`A line could not be written as a whole in ${MOST_ATTEMPTS} attempts.`);
  } finally {
    await file.close();
  }
}

/** A file that may be written only, or is a pipe, is not looked into. */
async function openToAppend(path: string, mode: number): Promise<FileHandle> {
  try {
    return await open(path, 'a+', mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    return open(path, 'a', mode);
  }
}

/** Whether the last byte ends no line. */
async function endsInLine(file: FileHandle): Promise<boolean> {
  const stats = await file.stat();
  if (!stats.isFile() || stats.size === 0) return false;
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, stats.size - 1);
    return bytesRead === 1 && buffer[0] !== NEWLINE;
  } catch (error) {
    // Opened to write only.
    if ((error as NodeJS.ErrnoException).code === 'EBADF') return false;
    throw error;
  }
}
