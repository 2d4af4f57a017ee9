#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { main } from './program.ts';

// A reader that ends early, such as head, is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const code = await main(version, process.argv.slice(2));
// Connections that the configuration opened for itself would keep the process alive.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
