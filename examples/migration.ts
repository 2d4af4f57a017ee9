/** Into strongroom and out again: plain rows, rows of Python's EncryptedSession, and an export. See docs/migration.md. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MemorySession } from '@openai/agents';
import { encrypt, generateKey, keyring, redact, wrapStore } from 'strongroom';
import { derivedId } from 'strongroom/history';
import { exportSession, migrate, readPythonSession, sessionDekStore } from 'strongroom/keys';
import { readPythonStore } from 'strongroom/python';
import { openSqlite } from 'strongroom/sqlite';

const keys = keyring({ current: await generateKey() });
const store = openSqlite(':memory:');
await store
  .session('user-1')
  .addItems([{ type: 'message', role: 'user', content: 'Mail me: ada@example.com' }]);

// #region during
// The stack during the migration: reads old rows, writes sealed ones, and counts the old ones.
const until = new Date(Date.now() + 14 * 24 * 3_600_000);
let met = 0;
const during = wrapStore(store, [
  redact({ entities: ['EMAIL_ADDRESS'] }),
  encrypt({ keys, unsafeAllowPlaintext: { until, onPlaintext: (count) => (met += count) } }),
]);
// #endregion
await during.session('user-1').getItems();
assert.equal(met, 1);

// #region migrate
const report = await migrate(during, {
  onProgress: ({ sessions, sealed }) => console.log(`${sessions} sessions, ${sealed} records sealed`),
});
// #endregion
assert.deepEqual(report, { sessions: 1, sealed: 1, already: 0, held: [] });

// #region after
const sessions = wrapStore(store, [redact({ entities: ['EMAIL_ADDRESS'] }), encrypt({ keys })]);
// #endregion

// #region export
const session = sessions.session('user-1');
const document = await exportSession(session, { open: true });
const plain = new MemorySession({ sessionId: document.sessionId });
await plain.addItems([...document.items]);
// #endregion
assert.deepEqual(await plain.getItems(), await session.getItems());

// #region python
// What `message_data` of SQLAlchemySession or SQLiteSession holds, as JSON, oldest first.
const rows: unknown[] = [{ role: 'user', content: 'Hello from Python' }];
const { items, unmapped } = readPythonSession({
  encryptionKey: 'the encryption_key of EncryptedSession',
  sessionId: 'user-2',
  items: rows,
  plaintext: true, // only after a look at the rows that Python never encrypted
});
await sessions.session('user-2').addItems([...items]);
console.log(`${items.length} items read, ${unmapped.length} without a counterpart`);
// #endregion

const folder = mkdtempSync(join(tmpdir(), 'strongroom-example-'));
const agentsDb = join(folder, 'agents.db');
const made = new DatabaseSync(agentsDb);
made.exec(`CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY);
  CREATE TABLE agent_messages (id INTEGER PRIMARY KEY, session_id TEXT, message_data TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
  INSERT INTO agent_messages (session_id, message_data) VALUES ('user-3', '{"role": "user", "content": "Hello"}')`);
made.close();
// #region python-store
// Or { postgres: 'postgres://…' }, { mysql: 'mysql://…' }; with { encryptionKey } below EncryptedSession.
await using python = readPythonStore({ sqlite: agentsDb });
const adopted = await python.migrate(sessions, {
  onProgress: ({ done, total }) => console.log(`${done} of ${total} sessions`),
});
console.log(adopted); // conflicts, erased, orphans, unreadable: look at them
// #endregion
assert.deepEqual([adopted.sessions, adopted.items, adopted.conflicts], [1, 1, []]);
rmSync(folder, { recursive: true });

// The keys of an earlier version, one of them destroyed.
const earlier = sessionDekStore((name) => store.session(name), { keySessionId: (name) => `${name}:keys` });
const key = { sessionId: 'user-1', kid: 'k', wrapped: 'w', createdAt: 1 };
for (const did of ['live', 'destroyed']) await earlier.put({ ...key, did });
await earlier.destroy('user-1', 'destroyed');
const ids = ['user-1'];
// #region derived
for (const id of ids) {
  const log = await store.session(`${id}:keys`).getItems();
  if (log.length === 0) continue;
  await store.session(derivedId({ kind: 'keys', of: id }), { derived: true }).addItems(log);
  for await (const { did } of sessionDekStore((name) => store.session(name)).list({ sessionId: id })) {
    console.log(`data key ${did} of ${id} has moved`);
  }
  await store.deleteSession(`${id}:keys`);
}
// #endregion
const moved = sessionDekStore((name) => store.session(name));
assert.deepEqual(await moved.get('user-1', 'live'), { ...key, did: 'live' });
assert.ok('destroyedAt' in ((await moved.get('user-1', 'destroyed')) ?? {}));
await store.close();
