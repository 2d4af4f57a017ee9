import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';
import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError } from '../../src/errors.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import type { Call, Operation } from './linear.ts';
import { openStore } from './open-store.ts';

// A process of its own. It says `ready`; each line `target name writer milliseconds sessions` that it is then given lets its
// clients do all that can be done to a session of that database, for so long, each one thing after the other. Each line of its
// output is a call, and what it returned; the last one says how much its memory grew meanwhile.
const CLIENTS = 2;
/** However slow the machine is. */
const LEAST_CALLS = 20;

/** The clock of the machine, the same for all its processes. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;
const chance = (most: number): number => Math.floor(Math.random() * most);
const message = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const textOf = (item: AgentInputItem): string => (item as { content: string }).content;

async function heap(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await turn();
  }
  return process.memoryUsage().heapUsed;
}

/** One round over one database. */
interface Round {
  readonly store: Store<StoreSession>;
  readonly writer: string;
  readonly sessions: number;
}

async function client({ store, writer, sessions }: Round, number: number, until: number): Promise<void> {
  const tails = new Map<string, readonly string[]>();
  for (let call = 0; now() < until || call < LEAST_CALLS; call++) {
    // Some sessions get more than others.
    const session = `mixed-${Math.floor(Math.random() ** 2 * sessions)}`;
    const tag = `${writer}.${number}.${call}`;
    const operation = await record(session, () => perform(store.session(session), session, tag, tails));
    // As after a lost answer.
    if (operation.kind === 'append' && chance(5) === 0) {
      await record(session, () => append(store.session(session), tag, operation.items));
    }
    // Sessions that are only looked at must not stay in memory.
    store.session(tag);
  }
}

async function record(session: string, perform: () => Promise<Operation>): Promise<Operation> {
  const began = now();
  const operation = await perform();
  const call: Call = { session, began, ended: now(), operation };
  process.stdout.write(`${JSON.stringify(call)}\n`);
  return operation;
}

async function perform(
  session: StoreSession,
  id: string,
  tag: string,
  tails: Map<string, readonly string[]>,
): Promise<Operation> {
  const items = [`${tag}a`, `${tag}b`];
  const choice = chance(100);
  if (choice < 25) {
    await session.addItems(items.map(message));
    return { kind: 'add', items };
  }
  if (choice < 45) {
    const popped = await session.popItem();
    return { kind: 'pop', popped: popped === undefined ? null : textOf(popped) };
  }
  if (choice < 65) return await read(session, id, tails);
  if (choice < 80) {
    return await append(session, tag, items);
  }
  if (choice < 92) {
    // What was seen long ago will often be a conflict.
    if (chance(3) > 0) await record(id, () => read(session, id, tails));
    const expected = tails.get(id) ?? [];
    if (expected.length > 0) return await replace(session, tag, expected, items);
  }
  if (choice < 96) {
    await session.replaceHistoryWithCompaction([message(`${tag}c`)]);
    return { kind: 'compact', items: [`${tag}c`] };
  }
  await session.clearSession();
  return { kind: 'clear' };
}

async function read(
  session: StoreSession,
  id: string,
  tails: Map<string, readonly string[]>,
): Promise<Operation> {
  const limit = chance(2) === 0 ? undefined : 1 + chance(5);
  const items = (await session.getItems(limit)).map(textOf);
  tails.set(id, items.slice(-2));
  return { kind: 'read', ...(limit !== undefined && { limit }), items };
}

async function append(session: StoreSession, id: string, items: readonly string[]): Promise<Operation> {
  const transaction = { type: 'append_items' as const, items: items.map(message) };
  await session.applyHistoryTransaction({ operationId: id, transaction });
  return { kind: 'append', id, items };
}

async function replace(
  session: StoreSession,
  tag: string,
  expected: readonly string[],
  items: readonly string[],
): Promise<Operation> {
  const transaction = {
    type: 'replace_suffix' as const,
    expectedSuffix: expected.map(message),
    replacement: items.map(message),
  };
  const replaced = { kind: 'replace' as const, id: tag, expected, items };
  try {
    await session.applyHistoryTransaction({ operationId: tag, transaction });
    return { ...replaced, conflict: false };
  } catch (error) {
    if (!isStrongroomError(error) || error.code !== 'ERR_CONFLICT') throw error;
    return { ...replaced, conflict: true };
  }
}

async function round(line: string): Promise<void> {
  const [target = '', name = '', writer = '', milliseconds = '', sessions = ''] = line.split(' ');
  await using store = openStore(target, name);
  await store.ping();
  const work = async (first: number): Promise<number> => {
    const until = now() + Number(milliseconds) / 2;
    const clients = Array.from({ length: CLIENTS }, (_, number) => first + number);
    await Promise.all(
      clients.map((number) => client({ store, writer, sessions: Number(sessions) }, number, until)),
    );
    return await heap();
  };
  const before = await work(0);
  process.stdout.write(`${JSON.stringify({ grown: (await work(CLIENTS)) - before })}\n`);
}

// Transactions load the SDK: not while the others are at work.
await import('@openai/agents');
// It is not going to end by itself.
flushCompileCache();
process.stdout.write('ready\n');
for await (const line of createInterface(process.stdin)) await round(line);
