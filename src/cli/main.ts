#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { EXIT } from './exit-codes.ts';
import { main } from './program.ts';

// A reader that ends early, such as head, is not an error: the command does the rest of its work and writes its audit
// log, and what it still prints is dropped.
let isLost = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    isLost ||= code !== 'EPIPE' && code !== 'ECONNRESET';
  });
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const code = await main(version, process.argv.slice(2));
// Connections that the configuration opened for itself would keep the process alive.
process.stdout.write('', () =>
  process.stderr.write('', () =>
    setImmediate(() => process.exit(code === EXIT.done && isLost ? EXIT.failed : code)),
  ),
);
