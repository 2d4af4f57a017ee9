/** Erasure with a receipt: everything of a person goes, other code looks for what is left, and a JWS says what was done. */
import { encrypt, expire, generateKey, keyring, wrapStore } from 'strongroom';
import { branches } from 'strongroom/history';
import { eraseSubject, verifyErasure, verifyReceipt } from 'strongroom/retention';
import { openSqlite } from 'strongroom/sqlite';
import { exportJWK, generateKeyPair } from 'jose';

const keys = keyring({ current: await generateKey() });
const store = wrapStore(openSqlite('conversations.db'), [expire({ after: '30d' }), encrypt({ keys })]);
await store
  .session('user-123', { subject: 'person-7' })
  .addItems([{ role: 'user', content: 'Where is my order?' }]);
await branches(store, 'user-123').create('second-try');

// The key of the receipt is yours, and no key of the conversations. Auditors get the public half.
const pair = await generateKeyPair('ES256', { extractable: true });
const [privateKey, publicKey] = [await exportJWK(pair.privateKey), await exportJWK(pair.publicKey)];

// #region erase
const report = await eraseSubject(store, 'person-7', { receiptKey: privateKey, reason: 'request 4711' });
console.log('Left behind:', report.orphans);

const erasure = await verifyReceipt(report.receipt ?? '', publicKey, { subject: 'person-7' });
console.log('The receipt names the sessions:', erasure.sessions);
// Later, and after a backup was restored: nothing of it may have come back.
console.log('Came back:', await verifyErasure(store, erasure));
// #endregion
await store.close();
