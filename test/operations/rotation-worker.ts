import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import type { JWK } from 'jose';
import { isStrongroomError } from '../../src/errors.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { reencrypt, rewrap, sqliteDekStore } from '../../src/operations/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapStore } from '../../src/wrap-store.ts';

// A process of its own over one folder, until it is killed. `write` appends, `read` looks whether what it saw once is
// still there, `rotate` makes a new key known, promotes it a moment later and wraps all data keys anew, `reencrypt` gives
// every session new data keys and destroys the old ones. A line of output is something that was acknowledged, whatever is
// written to the standard error fails the test.

/** Between two calls, in milliseconds: traffic, not a lock that is never free. */
const PAUSE = 50;

const [role = '', folder = '', name = '', grace = ''] = process.argv.slice(2);
const keyFile = join(folder, 'keys.json');

/** Keys as a deployment would hand them out: what opens, and which one seals. */
interface KeyFile {
  readonly keys: readonly JWK[];
  readonly current: string;
}

let known = '';
let ring: Keyring;
function currentRing(): Keyring {
  const text = readFileSync(keyFile, 'utf8');
  if (text !== known) {
    known = text;
    const { keys, current } = JSON.parse(text) as KeyFile;
    const [first] = keys.filter((key) => key.kid === current);
    ring = keyring({ current: first as JWK, previous: keys.filter((key) => key.kid !== current) });
  }
  return ring;
}

function publish(file: KeyFile): void {
  const draft = join(folder, 'drafts', `${name}.json`);
  mkdirSync(join(folder, 'drafts'), { recursive: true });
  writeFileSync(draft, JSON.stringify(file));
  renameSync(draft, keyFile);
}

const dekStore = sqliteDekStore(join(folder, 'deks.db'), { busyTimeout: '30s' });
const layer = encrypt({
  keys: () => currentRing(),
  dekStore,
  dataKeys: { cacheFor: 100, maxMessages: 20 },
});
const sessions = wrapStore(openSqlite(join(folder, 'items.db'), { busyTimeout: '30s' }), [layer]);
const SESSIONS = ['session-0', 'session-1', 'session-2'];

async function rotate(): Promise<void> {
  const { keys, current } = JSON.parse(readFileSync(keyFile, 'utf8')) as KeyFile;
  const next = await generateKey();
  publish({ keys: [...keys, next], current });
  await delay(50);
  publish({ keys: [...keys, next], current: next.kid as string });
  const { rewrapped } = await rewrap(dekStore, { keys: currentRing() });
  process.stdout.write(`rewrapped ${rewrapped}\n`);
  // A key that others have not read yet makes them begin again: longer than a run over three sessions takes.
  await delay(20 * PAUSE);
}

async function reencryptAll(): Promise<void> {
  const { destroyed } = await reencrypt(sessions, { grace: grace as '1s' });
  process.stdout.write(`destroyed ${destroyed.length}\n`);
}

async function write(count: number): Promise<void> {
  const id = SESSIONS[count % SESSIONS.length] as string;
  const text = `${name} ${count}`;
  await sessions.session(id).addItems([{ type: 'message', role: 'user', content: text }]);
  process.stdout.write(`+ ${id} ${text}\n`);
  await delay(PAUSE);
}

const seen = new Map<string, readonly string[]>();
async function read(count: number): Promise<void> {
  const id = SESSIONS[count % SESSIONS.length] as string;
  const items = await sessions.session(id).getItems();
  const texts = items.map((item) => (item as { content: string }).content);
  const before = seen.get(id) ?? [];
  const missing = before.filter((text, index) => texts[index] !== text);
  if (missing.length > 0) throw new Error(`${id}: what was read before is gone: ${missing.join(', ')}`);
  seen.set(id, texts);
  process.stdout.write(`read ${texts.length}\n`);
  await delay(PAUSE);
}

const roles: Readonly<Record<string, (count: number) => Promise<void>>> = {
  write,
  read,
  rotate,
  reencrypt: reencryptAll,
};
for (let count = 0; ; count++) {
  try {
    await roles[role]?.(count);
  } catch (error) {
    // A data key may have been wrapped by a key that this process has not read yet: the next call has read it.
    if (!isStrongroomError(error) || error.code !== 'ERR_KEY_UNKNOWN') throw error;
  }
}
