import { setTimeout as delay } from 'node:timers/promises';
import { randomName, randomNumber } from '../../crypto/random.ts';
import { lineageOf } from '../../derived-id.ts';
import { StrongroomError } from '../../errors.ts';
import { isCurrentSchema, storeError } from '../failure.ts';
import { textOf, type RedisCommands } from './client.ts';
import { sessionKeys, treeKey } from './keys.ts';
import { ACQUIRE, ADOPT, RENEW, UNNAME } from './scripts.ts';

const WHERE = 'openRedis';
/** Milliseconds after which the lock of a process that died ends. */
const LOCK = 30_000;
/** Milliseconds that a process waits for another one which migrates. */
const PATIENCE = 10 * 60_000;
const PAGE = 200;

/** Renews the lock, so that no other process begins the same. */
type KeepLock = () => Promise<void>;
type Migration = (commands: RedisCommands, prefix: string, keepLock: KeepLock) => Promise<void>;

/**
 * Each entry brings the keys from the version that is its index, plus one, to the next one. Entries are never changed, only
 * added (see CONTRIBUTING.md): a database of the version before gets this one. Each can be repeated: a process can
 * die in the middle. There is no entry for the first version, which begins with no keys.
 */
const MIGRATIONS: readonly Migration[] = [
  nameLists,
  // The last element of an append has a mark. Existing elements need none; earlier programs treat one with a mark
  // as damaged.
  () => Promise.resolve(),
  unnameEmpty,
  addTrees,
  // The list of a branch can begin with an element that refers to another session; earlier programs treat it as damaged.
  () => Promise.resolve(),
];

/** The version of what this program writes. */
export const REDIS_SCHEMA: number = MIGRATIONS.length + 1;

/** Any number of processes may do this at once: the first one works, the others wait and find it done. */
export async function prepareSchema(commands: RedisCommands, prefix: string): Promise<void> {
  const lock = `${prefix}:schema-lock`;
  const owner = randomName();
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    if (isCurrentSchema(WHERE, await versionOf(commands, prefix), REDIS_SCHEMA)) return;
    if ((await commands.script(ACQUIRE, [lock], [owner, String(LOCK)])) === 1) break;
    if (performance.now() > deadline) {
      const cause = new Error(`${lock} is taken.`);
      throw storeError(WHERE, 'another process is changing the layout of the keys', cause, 'no');
    }
    await delay(20);
  }
  const keepLock = async (): Promise<void> => {
    if ((await commands.script(RENEW, [lock], [owner, String(LOCK)])) === 1) return;
    const cause = new Error('The lock expired.');
    throw storeError(WHERE, 'the change of the layout of the keys took too long', cause, 'unknown');
  };
  try {
    const version = await versionOf(commands, prefix);
    if (isCurrentSchema(WHERE, version, REDIS_SCHEMA)) return;
    if (version > 0) {
      for (const migrate of MIGRATIONS.slice(version - 1)) await migrate(commands, prefix, keepLock);
    }
    await keepLock();
    await commands.write('SET', `${prefix}:schema`, String(REDIS_SCHEMA));
  } finally {
    await commands.script(RENEW, [lock], [owner, '0']);
  }
}

/** 0 when there are no keys. */
async function versionOf(commands: RedisCommands, prefix: string): Promise<number> {
  const found = await commands.read('GET', `${prefix}:schema`);
  // The version may have been evicted, but not the sessions.
  if (found === null) return (await commands.read('EXISTS', `${prefix}:ids`)) === 1 ? 1 : 0;
  const text = textOf(found);
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new StrongroomError(
    'ERR_MALFORMED',
    `${WHERE}: the key ${prefix}:schema does not contain a schema version of strongroom. Choose another prefix, or restore that key from a backup.`,
  );
}

/**
 * A history that became empty kept its name, which now says that the server lost it. Not where the version itself was lost: then
 * so may the items be.
 */
async function unnameEmpty(commands: RedisCommands, prefix: string, keepLock: KeepLock): Promise<void> {
  if ((await commands.read('EXISTS', `${prefix}:schema`)) === 0) return;
  await eachSession(commands, prefix, keepLock, async (id) => {
    const { items, meta } = sessionKeys(prefix, id);
    const list = textOf((await commands.read('HGET', meta, 'list')) ?? '');
    await commands.script(UNNAME, [items(list), meta], []);
  });
}

/** The derived sessions of a conversation are found without a scan of all sessions. */
async function addTrees(commands: RedisCommands, prefix: string, keepLock: KeepLock): Promise<void> {
  await eachSession(commands, prefix, keepLock, async (id) => {
    const lineage = lineageOf(id);
    if (lineage !== undefined) await commands.write('ZADD', treeKey(prefix, lineage.root), '0', id);
  });
}

/** Before lists had names, items were under a key without a name, where current versions find nothing. */
async function nameLists(commands: RedisCommands, prefix: string, keepLock: KeepLock): Promise<void> {
  await eachSession(commands, prefix, keepLock, async (id) => {
    const { items, meta } = sessionKeys(prefix, id);
    const name = randomNumber().toString(36);
    const unnamed = items('').slice(0, -1);
    const named = textOf((await commands.read('HGET', meta, 'list')) ?? '');
    await commands.script(ADOPT, [unnamed, items(named), items(name), meta], [name]);
  });
}

async function eachSession(
  commands: RedisCommands,
  prefix: string,
  keepLock: KeepLock,
  work: (id: string) => Promise<void>,
): Promise<void> {
  for (let start = '-'; ;) {
    const range = await commands.read('ZRANGEBYLEX', `${prefix}:ids`, start, '+', 'LIMIT', '0', String(PAGE));
    const page = (range as Buffer[]).map(String);
    for (const id of page) await work(id);
    await keepLock();
    if (page.length < PAGE) return;
    start = `(${page.at(-1)}`;
  }
}
