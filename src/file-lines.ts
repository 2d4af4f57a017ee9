import { createReadStream } from 'node:fs';

/**
 * The lines of a text, read as a stream. Only `\n` ends a line: Node's own readers also split at U+2028 and U+2029, which stand in a text of
 * JSON as they are, and at a single `\r`.
 *
 * @throws the error of the file system when the file cannot be read.
 */
export async function* fileLines(path: string): AsyncGenerator<string> {
  let line = '';
  for await (const chunk of createReadStream(path, 'utf8') as AsyncIterable<string>) {
    const [first = '', ...others] = chunk.split('\n');
    line += first;
    for (const next of others) {
      yield line;
      line = next;
    }
  }
  if (line !== '') yield line;
}
