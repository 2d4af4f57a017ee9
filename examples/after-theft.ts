/** What to do when a key-encryption key may be stolen, on the stack of the README. */
import { cache, encrypt, expire, generateKey, keyring, wrapStore } from 'strongroom';
import { checkKeys, destroyKey, reencrypt } from 'strongroom/keys';
import { openSqlite } from 'strongroom/sqlite';

const stolen = await generateKey();
const keys = keyring({ current: stolen });
const sessions = wrapStore(openSqlite('conversations.db'), [
  expire({ after: '30d' }),
  cache({ maxItems: 50_000 }),
  encrypt({ keys }),
]);
await sessions.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);

// #region procedure
const next = await generateKey();
keys.add(next); // in every process; when all have it:
keys.promote(next.kid as string); // in every process: one that has not goes on with the stolen key
await reencrypt(sessions, { grace: 0 }); // without `grace: 0` where other processes write
const left = (await checkKeys(sessions, { keys })).filter(({ kid }) => kid === stolen.kid);
// In every process, too. `dekStores` says where to look for data keys that still need the key.
if (left.length === 0) await destroyKey(keys, stolen.kid as string, { dekStores: sessions });
// #endregion

console.log(`key-encryption keys in use: ${(await checkKeys(sessions, { keys })).length}`);
console.log(`items: ${(await sessions.session('user-123').getItems()).length}`);
await sessions.close();
