/**
 * An archive in object storage: transfer() copies a store, sealed as it is, into one file; the file is what you upload. Here the
 * "bucket" is a folder, so that the whole way back runs in CI too.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { encrypt, expire, generateKey, keyring, wrapStore } from 'strongroom';
import { eraseSubject } from 'strongroom/retention';
import { openSqlite } from 'strongroom/sqlite';
import { transfer } from 'strongroom/transfer';

const keys = keyring({ current: await generateKey() });
const live = openSqlite('live.db'); // or openPostgres(url), openMysql(url), openRedis(url)
const layers = [expire({ after: '365d' }), encrypt({ keys })] as const;
const sessions = wrapStore(live, layers);
for (const user of ['ada', 'bo']) {
  await sessions
    .session(user, { subject: user })
    .addItems([{ type: 'message', role: 'user', content: `I am ${user}.` }]);
}

// #region archive
async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('base64');
}

const archive = openSqlite('archive-2026-11-27.db');
const copied = await transfer(live, archive); // each session is compared by count and digest
await archive.close(); // now it is one file: no write-ahead log is left
const digest = await sha256('archive-2026-11-27.db');
console.log(`${copied.sessions} sessions, ${copied.items} items, SHA-256 ${digest.length} characters`);
// #endregion

// In place of an upload and a download.
await mkdir('bucket');
await copyFile('archive-2026-11-27.db', 'bucket/archive-2026-11-27.db');
await copyFile('bucket/archive-2026-11-27.db', 'restored.db');

// #region restore
assert.equal(await sha256('restored.db'), digest);
const restored = openSqlite('restored.db');
const empty = openSqlite('new.db');
const back = await transfer(restored, empty);
console.log('restored:', back.sessions, 'sessions');
// #endregion
for (const user of ['ada', 'bo']) {
  assert.deepEqual(
    await wrapStore(empty, layers).session(user).getItems(),
    await sessions.session(user).getItems(),
  );
  assert.doesNotMatch(JSON.stringify(await restored.session(user).getItems()), /I am/);
}

// #region erased
await eraseSubject(sessions, 'ada');
const merged = await transfer(restored, live); // Ada was erased after the archive was made
console.log('not restored, because erased since:', merged.erased);
// #endregion
assert.deepEqual(merged.erased, ['ada']);
await Promise.all([live.close(), restored.close(), empty.close()]);
