/** A store over a database of your own, under the usual layers. */
import { encrypt, expire, generateKey, keyring, wrapStore } from 'strongroom';
import { createStore } from 'strongroom/stores';
import { memoryDriver } from './support/memory-driver.ts';

// #region use
const table = new Map<string, Uint8Array>();
const keys = keyring({ current: await generateKey() });
await using sessions = wrapStore(createStore(memoryDriver(table)), [
  expire({ after: '30d' }),
  encrypt({ keys }),
]);

const session = sessions.session('user-123', { subject: 'ada' });
await session.addItems([
  { role: 'user', content: 'Where is my order?' },
  { role: 'user', content: 'It is number 4711.' },
]);
console.log('The agent sees:', await session.getItems());
console.log('The table holds:', [...table.keys()].sort());
await sessions.deleteSession('user-123');
console.log('After the deletion:', [...table.keys()].sort());
// #endregion
