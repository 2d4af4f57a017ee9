// Counts the work of calls by wrapping functions of the JavaScript engine and of Node. Import it before anything of
// `src`, which keeps references to some of them.
import { createHook } from 'node:async_hooks';
import crypto from 'node:crypto';
import { Session } from 'node:inspector/promises';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { syncBuiltinESMExports } from 'node:module';

/** What is counted, and what the numbers mean. */
export const COUNTED = {
  statements: 'SQL statements, BEGIN and COMMIT among them',
  transactions: 'transactions that were begun',
  promises: 'promises that were made',
  ciphers: 'texts sealed or opened (AEAD)',
  digests: 'hashes of node:crypto; a MAC of ours is two, a derivation four or more',
  parses: 'calls of JSON.parse()',
  stringifies: 'calls of JSON.stringify()',
  clones: 'items and values copied by copyShared(), cloneItem() and structuredClone()',
  patterns: 'searches by a regular expression',
} as const;

export type Counted = keyof typeof COUNTED;
export type Counts = Readonly<Record<Counted, number>>;

const counts: Record<Counted, number> = {
  statements: 0,
  transactions: 0,
  promises: 0,
  ciphers: 0,
  digests: 0,
  parses: 0,
  stringifies: 0,
  clones: 0,
  patterns: 0,
};
let counting = false;
let running: unknown;

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Counts calls of a method while `counting`, but for those that it makes itself on the same object. */
function count(owner: object, name: PropertyKey, seen: (self: unknown, args: unknown[]) => void): void {
  const descriptor = Object.getOwnPropertyDescriptor(owner, name) as PropertyDescriptor;
  const original = descriptor.value as Method;
  const counted = (self: unknown, args: unknown[]): unknown => {
    if (!counting || (running !== undefined && running === self)) return original.apply(self, args);
    const outer = running;
    running = self;
    try {
      seen(self, args);
      return original.apply(self, args);
    } finally {
      running = outer;
    }
  };
  const value = function (this: unknown, ...args: unknown[]): unknown {
    return counted(this, args);
  };
  Object.defineProperty(owner, name, { ...descriptor, value });
}

function statement(sql: string): void {
  counts.statements++;
  if (sql.trimStart().toUpperCase().startsWith('BEGIN')) counts.transactions++;
}

for (const name of ['run', 'get', 'all', 'iterate'] as const) {
  count(StatementSync.prototype, name, (self) => statement((self as StatementSync).sourceSQL));
}
count(DatabaseSync.prototype, 'exec', (_self, [sql]) => statement(String(sql)));
for (const name of ['createCipheriv', 'createDecipheriv'] as const) {
  count(crypto, name, (_self, [algorithm]) => {
    // Other ciphers only derive a key for one of these.
    if (String(algorithm).includes('poly1305') || String(algorithm).includes('gcm')) counts.ciphers++;
  });
}
for (const name of ['createHash', 'createHmac', 'hash', 'hkdfSync'] as const) {
  count(crypto, name, () => counts.digests++);
}
syncBuiltinESMExports();
count(JSON, 'parse', () => counts.parses++);
count(JSON, 'stringify', () => counts.stringifies++);
count(globalThis, 'structuredClone', () => counts.clones++);
// A pattern that matches in random text is run again: only its first run counts.
for (const name of [
  'exec',
  'test',
  Symbol.match,
  Symbol.matchAll,
  Symbol.replace,
  Symbol.search,
  Symbol.split,
]) {
  count(RegExp.prototype, name, () => counts.patterns++);
}
createHook({
  init(_id, type) {
    if (counting && type === 'PROMISE') counts.promises++;
  },
}).enable();

/** The functions of ours that copy items, by their names. */
const CLONES: readonly string[] = ['copyShared', 'cloneItem'];

const inspector = new Session();
inspector.connect();
await inspector.post('Profiler.enable');
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });

/** Calls since the last time. */
async function callsOf(names: readonly string[]): Promise<number> {
  const { result } = await inspector.post('Profiler.takePreciseCoverage');
  let sum = 0;
  for (const { url, functions } of result) {
    if (!url.includes('/src/')) continue;
    for (const { functionName, ranges } of functions) {
      if (names.includes(functionName)) sum += ranges[0]?.count ?? 0;
    }
  }
  return sum;
}

/** How often to count: waiting for a turn of the event loop creates some more promises now and then. */
const TIMES = 10;

/**
 * The least of several times that the work was done.
 *
 * @param prepare Does the preparation, which is not counted, and returns the work.
 */
export async function countWork(prepare: () => Promise<() => Promise<unknown>>): Promise<Counts> {
  let least: Record<Counted, number> | undefined;
  // The first run loads and compiles everything that is needed once.
  await (
    await prepare()
  )();
  for (let time = 0; time < TIMES; time++) {
    const work = await prepare();
    await callsOf(CLONES);
    for (const name of Object.keys(counts) as Counted[]) counts[name] = 0;
    counting = true;
    await work();
    counting = false;
    counts.clones += await callsOf(CLONES);
    least ??= { ...counts };
    for (const name of Object.keys(counts) as Counted[]) least[name] = Math.min(least[name], counts[name]);
  }
  return least as Counts;
}
