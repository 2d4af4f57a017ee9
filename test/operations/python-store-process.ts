import { encrypt, expire, keyring, wrapStore } from '../../src/index.ts';
import { readPythonStore } from '../../src/operations/python-store.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

// Migrates one database into another and says the number of sessions that are done; it is going to be killed.
const [from = '', to = '', jwk = ''] = process.argv.slice(2);
await using store = openSqlite(to);
await using python = readPythonStore({ sqlite: from });
const keys = keyring({ current: JSON.parse(jwk) as never });
await python.migrate(wrapStore(store, [expire({ after: '3650d' }), encrypt({ keys })]), {
  onProgress: ({ done }) => process.stdout.write(`${done}\n`),
});
