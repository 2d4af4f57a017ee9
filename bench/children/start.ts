// Prints how long a new process takes until it has read a history, in microseconds since the start of Node.js: node
// bench/children/start.ts by-hand|strongroom FILE FILE is a folder that groups/start.ts has filled. It imports what
// users import.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [, , candidate, folder = ''] = process.argv;

async function read(): Promise<number> {
  if (candidate === 'by hand') {
    const { handWrittenSqlite } = await import('../sessions-by-hand.ts');
    return (await handWrittenSqlite(join(folder, 'by-hand.db')).session('history').getItems()).length;
  }
  const { openSqlite } = await import('strongroom/sqlite');
  if (candidate === 'our store, bare') {
    return (await openSqlite(join(folder, 'bare.db')).session('history').getItems()).length;
  }
  const { cache, encrypt, expire, keyring, redact, wrapStore } = await import('strongroom');
  const key = JSON.parse(readFileSync(join(folder, 'key.json'), 'utf8')) as Parameters<
    typeof keyring
  >[0]['current'];
  const store = wrapStore(openSqlite(join(folder, 'full.db')), [
    redact(),
    expire({ after: '30d' }),
    cache({ maxItems: 1_000_000 }),
    encrypt({ keys: keyring({ current: key }) }),
  ]);
  return (await store.session('history').getItems()).length;
}

const count = await read();
if (count === 0) throw new Error('The history is empty.');
process.stdout.write(`${performance.now() * 1_000}\n`);
