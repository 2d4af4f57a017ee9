import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import type { JWK } from 'jose';
import { isStrongroomError } from '../../src/errors.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { rewrap, sqliteDekStore } from '../../src/keys/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapStore } from '../../src/wrap-store.ts';

// A process of its own over one folder, until it is killed. `write` appends and reads; `rotate` makes a new key known,
// promotes it a moment later, and wraps all data keys anew. Each line of output is something that was acknowledged.

const [role = '', folder = '', name = ''] = process.argv.slice(2);
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

if (role === 'rotate') {
  for (;;) {
    const { keys, current } = JSON.parse(readFileSync(keyFile, 'utf8')) as KeyFile;
    const next = await generateKey();
    publish({ keys: [...keys, next], current });
    await delay(50);
    publish({ keys: [...keys, next], current: next.kid as string });
    const { rewrapped } = await rewrap(dekStore, { keys: currentRing() });
    process.stdout.write(`rewrapped ${rewrapped}\n`);
    await delay(50);
  }
}

const layer = encrypt({
  keys: () => currentRing(),
  dekStore,
  dataKeys: { cacheFor: 100, maxMessages: 5 },
});
const sessions = wrapStore(openSqlite(join(folder, 'items.db'), { busyTimeout: '30s' }), [layer]);
for (let count = 0; ; count++) {
  const id = `session-${count % 3}`;
  const text = `${name} ${count}`;
  try {
    await sessions.session(id).addItems([{ type: 'message', role: 'user', content: text }]);
    process.stdout.write(`+ ${id} ${text}\n`);
    if (count % 5 === 0) await sessions.session(id).getItems(3);
  } catch (error) {
    // A data key may have been wrapped by a key that this process has not read yet: the next call has read it.
    if (!isStrongroomError(error) || error.code !== 'ERR_KEY_UNKNOWN') throw error;
  }
}
