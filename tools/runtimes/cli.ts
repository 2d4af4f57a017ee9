/** The suite on runtimes with a command line. A file in the same folder holds its input. */
import { readFileSync } from 'node:fs';
import { smoke, type Given } from './smoke.ts';
import { openSqlite } from 'strongroom/sqlite';

const given = JSON.parse(readFileSync('given.json', 'utf8')) as Given;
console.log(`sealed ${JSON.stringify(await smoke(given))}`);
console.log(`note ${await sqlite()}`);

/** The one store that needs no server, where the runtime has a SQLite. */
async function sqlite(): Promise<string> {
  try {
    await import('node:sqlite');
  } catch {
    return 'no node:sqlite';
  }
  const store = openSqlite(':memory:');
  await store.session('a').addItems([{ role: 'user', content: 'hello' }]);
  const read = await store.session('a').getItems();
  await store.close();
  if (JSON.stringify(read) !== '[{"role":"user","content":"hello"}]')
    throw new Error('SQLite: another item came back');
  return 'SQLite';
}
