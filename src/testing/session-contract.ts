import assert from 'node:assert/strict';
import {
  isRunContextAwareSession,
  isSessionHistoryRewriteAwareSession,
  isSessionHistoryTransactionAwareSession,
  protocol,
  type AgentInputItem,
  type Session,
  type SessionHistoryRewriteAwareSession,
  type SessionHistoryTransaction,
  type SessionHistoryTransactionAwareSession,
} from '@openai/agents';
import { cloneItem } from '../protocol/item.ts';
import type { MaybePromise } from '../layer.ts';
import { sampleItems } from './sample-items.ts';

/** The functions of a test runner that the contract suites need: `vitest`, `node:test` and `bun:test` have them. */
export interface TestApi {
  describe(name: string, body: () => void): unknown;
  test(name: string, body: () => Promise<void>): unknown;
}

/** Where {@link sessionContract} gets its sessions from. */
export interface SessionContractOptions {
  /** A new, empty session at each call. */
  open(): MaybePromise<Session>;
  /** Releases what `open` took. */
  close?(session: Session): MaybePromise<void>;
  /** Items that must come back exactly; by default one or more of every type of the protocol. */
  readonly items?: readonly AgentInputItem[];
  /** How many items one `addItems` takes, for backends with a limit (Conversations: 20). Default: any number. */
  readonly maxItemsPerCall?: number;
}

type Check = (session: Session) => Promise<void>;

/**
 * Declares the tests that any session must pass to serve the SDK's runner without loss: order, limits, isolation,
 * exact read-back of every item type and, where the session offers them, transactions, mutations and compaction
 * replacement. Bring the tests of your own session, or of your own layer around any session.
 *
 * @param testApi `describe` and `test` of the test runner.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { sessionContract } from 'strongroom/testing';
 * import { describe, test } from 'vitest';
 *
 * sessionContract({ describe, test }, { open: () => new MemorySession() });
 * ```
 */
export function sessionContract(testApi: TestApi, options: SessionContractOptions): void {
  testApi.describe('is a session that the runner can rely on', () => {
    for (const [name, check] of sessionChecks(options.items ?? sampleItems(), options.maxItemsPerCall)) {
      testApi.test(name, async () => {
        const session = await options.open();
        try {
          await check(session);
        } finally {
          await options.close?.(session);
        }
      });
    }
  });
}

/** The checks by name, for running them without a test runner: each throws when the session breaks the contract. */
export function sessionChecks(
  items: readonly AgentInputItem[],
  maxItemsPerCall: number = Number.POSITIVE_INFINITY,
): ReadonlyMap<string, Check> {
  return new Map<string, Check>([
    ['has a stable id that is not empty', stableId],
    ['starts empty', startsEmpty],
    ['returns what was added, in order, also over several calls', returnsInOrder],
    [
      'returns every item exactly, with the order of its keys, and adds none',
      (session) => exact(session, items, maxItemsPerCall),
    ],
    [
      'returns items that are plain data and valid in the protocol',
      (session) => plain(session, items, maxItemsPerCall),
    ],
    ['returns the last n items for a limit, and none for a limit of 0 or less', limits],
    ['is not changed by what callers do to items they handed over or got', isolates],
    ['ignores an empty append', emptyAppend],
    ['pops the last item, and nothing from an empty session', pops],
    ['is empty and usable after a clear', clears],
    ['keeps the order of appends that were started together', ordered],
    ['keeps long texts and many items', (session) => large(session, maxItemsPerCall)],
    ['keeps text that looks like an envelope of strongroom', pastedEnvelope],
    ['has only whole capabilities', capabilities],
    ['applies a transaction once under its operation id', transactionOnce],
    ['refuses another transaction under a used operation id', transactionConflict],
    ['replaces a suffix only when it matches', transactionSuffix],
    ['refuses malformed transactions and changes nothing', transactionMalformed],
    ['replaces a function call by its call id', mutations],
    ['makes a compaction item and what follows it the whole history', compaction],
    ['normalizes for comparison item by item, without changing types', comparison],
  ]);
}

/** A user message in the shape that every session stores unchanged. */
export function userMessage(text: string): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

async function stableId(session: Session): Promise<void> {
  const id = await session.getSessionId();
  assert.ok(typeof id === 'string' && id.length > 0, 'getSessionId must return a non-empty string');
  await session.addItems([userMessage('one')]);
  assert.equal(await session.getSessionId(), id, 'the id changed after an append');
}

async function startsEmpty(session: Session): Promise<void> {
  assert.deepEqual(await session.getItems(), []);
}

async function returnsInOrder(session: Session): Promise<void> {
  const expected = numbered(7);
  await session.addItems(expected.slice(0, 3));
  await session.addItems(expected.slice(3, 4));
  await session.addItems(expected.slice(4));
  assert.deepEqual(await visible(session), expected);
}

async function exact(session: Session, items: readonly AgentInputItem[], most: number): Promise<void> {
  for (const item of items) {
    await session.addItems([cloneItem(item)]);
    const stored = await session.getItems(1);
    assert.equal(
      JSON.stringify(stored),
      JSON.stringify([item]),
      `an item of type ${String(item.type)} changed`,
    );
    assert.deepEqual(stored, [item]);
  }
  assert.equal(JSON.stringify(await session.getItems()), JSON.stringify(items), 'the whole history changed');
  await session.clearSession();
  await addAll(session, items, most);
  assert.equal(
    JSON.stringify(await session.getItems()),
    JSON.stringify(items),
    'appending them together changed items',
  );
}

async function plain(session: Session, items: readonly AgentInputItem[], most: number): Promise<void> {
  await addAll(session, items, most);
  const stored = await session.getItems();
  assert.deepEqual(structuredClone(stored), stored, 'structuredClone must work: the runner uses it');
  for (const item of stored) {
    const parsed = protocol.ModelItem.safeParse(item);
    assert.ok(
      parsed.success,
      `an item of type ${String(item.type)} is not valid, RunState.toString() would throw`,
    );
  }
}

async function limits(session: Session): Promise<void> {
  const expected = numbered(10);
  await session.addItems(expected);
  for (const limit of [1, 2, 3, 9, 10, 11, 1_000]) {
    assert.deepEqual(await visible(session, limit), expected.slice(-limit), `limit ${limit}`);
  }
  assert.deepEqual(await session.getItems(0), [], 'limit 0');
  assert.deepEqual(await session.getItems(-1), [], 'limit -1');
  assert.deepEqual(await visible(session), expected, 'no limit');
  assert.deepEqual(withoutIds(await session.getItems(undefined)), expected, 'limit undefined');
}

async function isolates(session: Session): Promise<void> {
  const handedOver = [userMessage('as written')];
  const adding = session.addItems(handedOver);
  const [first] = handedOver;
  await adding;
  Object.assign(first as object, { content: 'changed by the caller' });
  handedOver.push(userMessage('added by the caller'));
  assert.deepEqual(await visible(session), [userMessage('as written')]);

  const read = await session.getItems();
  const content = (read[0] as { content: { text: string }[] }).content;
  (content[0] as { text: string }).text = 'changed by a reader';
  read.pop();
  assert.deepEqual(await visible(session), [userMessage('as written')]);
}

async function emptyAppend(session: Session): Promise<void> {
  await session.addItems([]);
  assert.deepEqual(await session.getItems(), []);
  await session.addItems(numbered(1));
  await session.addItems([]);
  assert.deepEqual(await visible(session), numbered(1));
}

async function pops(session: Session): Promise<void> {
  assert.equal(await session.popItem(), undefined);
  const expected = numbered(3);
  await session.addItems(expected);
  for (let left = 3; left > 0; left--) {
    const popped = await session.popItem();
    assert.deepEqual(withoutIds(popped === undefined ? [] : [popped]), expected.slice(left - 1, left));
    assert.deepEqual(await visible(session), expected.slice(0, left - 1));
  }
  assert.equal(await session.popItem(), undefined);
}

async function clears(session: Session): Promise<void> {
  await session.addItems(numbered(3));
  await session.clearSession();
  assert.deepEqual(await session.getItems(), []);
  await session.clearSession();
  assert.ok((await session.getSessionId()).length > 0);
  await session.addItems([userMessage('afterwards')]);
  assert.deepEqual(await visible(session), [userMessage('afterwards')]);
}

async function ordered(session: Session): Promise<void> {
  const expected = numbered(12);
  await Promise.all(expected.map((item) => session.addItems([item])));
  assert.deepEqual(await visible(session), expected);
}

async function large(session: Session, most: number): Promise<void> {
  const long = userMessage('0123456789abcdef'.repeat(20_000));
  const many = numbered(50);
  await session.addItems([long]);
  await addAll(session, many, most);
  assert.deepEqual(await visible(session), [long, ...many]);
  assert.deepEqual(await visible(session, 51), [long, ...many]);
}

async function pastedEnvelope(session: Session): Promise<void> {
  const header = 'eyJzIjoibm9uZSJ9'; // {"s":"none"}
  const expected = [
    userMessage(`sr1.${header}.e30`),
    userMessage('sr1.eyJzIjoiWEMyMFAiLCJkIjoieCIsInQiOjF9.AAAA'),
    userMessage('sr1.'),
  ];
  await session.addItems(expected);
  assert.deepEqual(await visible(session), expected);
}

async function capabilities(session: Session): Promise<void> {
  // By name: the optional members are not part of the type `Session`.
  const members = session as unknown as Record<string, unknown>;
  for (const name of OPTIONAL_METHODS) {
    assert.ok(
      members[name] === undefined || typeof members[name] === 'function',
      `${name} must be a method or absent`,
    );
  }
  assert.ok(
    members['acceptsRunContext'] === undefined || typeof members['acceptsRunContext'] === 'boolean',
    'acceptsRunContext must be true or absent',
  );
  const trio = ['runCompaction', 'getItemsWithCompactionOwnership', 'addItemsWithCompactionOwnership'];
  const owned = trio.slice(1).filter((name) => typeof members[name] === 'function').length;
  assert.ok(
    owned === 0 || (owned === 2 && typeof members['runCompaction'] === 'function'),
    'the members of compaction ownership come together or not at all',
  );
  if (isRunContextAwareSession(session)) assert.equal(session.acceptsRunContext, true);
  return Promise.resolve();
}

const OPTIONAL_METHODS = [
  'prepareHistoryItemForModelInput',
  'prepareHistoryItemsForPersistenceComparison',
  'preserveReasoningItemIdsForPersistence',
  'replaceHistoryWithCompaction',
  'applyHistoryMutations',
  'applyHistoryTransaction',
  'runCompaction',
  'getItemsWithCompactionOwnership',
  'addItemsWithCompactionOwnership',
] as const;

async function transactionOnce(session: Session): Promise<void> {
  if (!isSessionHistoryTransactionAwareSession(session)) return;
  await session.addItems(numbered(1));
  const items = [userMessage('once, first'), userMessage('once, second')];
  const apply = (): Promise<void> =>
    applied(session, 'operation-1', { type: 'append_items', items: items.map(cloneItem) });
  await apply();
  await apply();
  await session.addItems([userMessage('later')]);
  await apply();
  assert.deepEqual(await visible(session), [...numbered(1), ...items, userMessage('later')]);
  await applied(session, 'operation-2', { type: 'append_items', items: items.map(cloneItem) });
  assert.deepEqual(await visible(session, 2), items, 'the same items under another id are another operation');
}

async function transactionConflict(session: Session): Promise<void> {
  if (!isSessionHistoryTransactionAwareSession(session)) return;
  await applied(session, 'operation-1', { type: 'append_items', items: [userMessage('the first content')] });
  await assert.rejects(
    applied(session, 'operation-1', { type: 'append_items', items: [userMessage('another content')] }),
  );
  await assert.rejects(
    applied(session, 'operation-1', {
      type: 'replace_suffix',
      expectedSuffix: [userMessage('the first content')],
      replacement: [],
    }),
  );
  assert.deepEqual(await visible(session), [userMessage('the first content')]);
}

async function transactionSuffix(session: Session): Promise<void> {
  if (!isSessionHistoryTransactionAwareSession(session)) return;
  const before = numbered(4);
  await session.addItems(before);
  const replacement = [userMessage('replaced, a'), userMessage('replaced, b'), userMessage('replaced, c')];
  await assert.rejects(
    applied(session, 'mismatch', {
      type: 'replace_suffix',
      expectedSuffix: [userMessage('never stored'), ...before.slice(3).map(cloneItem)],
      replacement,
    }),
  );
  await assert.rejects(
    applied(session, 'too-long', {
      type: 'replace_suffix',
      expectedSuffix: [userMessage('extra'), ...before.map(cloneItem)],
      replacement,
    }),
  );
  assert.deepEqual(await visible(session), before);
  const transaction: SessionHistoryTransaction = {
    type: 'replace_suffix',
    expectedSuffix: before.slice(2).map(cloneItem),
    replacement: replacement.map(cloneItem),
  };
  await applied(session, 'replace', transaction);
  assert.deepEqual(await visible(session), [...before.slice(0, 2), ...replacement]);
  await applied(session, 'replace', transaction);
  assert.deepEqual(await visible(session), [...before.slice(0, 2), ...replacement]);
  await applied(session, 'shrink', {
    type: 'replace_suffix',
    expectedSuffix: replacement.map(cloneItem),
    replacement: [],
  });
  assert.deepEqual(await visible(session), before.slice(0, 2));
}

async function transactionMalformed(session: Session): Promise<void> {
  if (!isSessionHistoryTransactionAwareSession(session)) return;
  await session.addItems(numbered(2));
  const append = { type: 'append_items', items: [userMessage('never stored')] } as const;
  const malformed: readonly unknown[] = [
    undefined,
    { operationId: '', transaction: append },
    { operationId: ' ', transaction: append },
    { operationId: 7, transaction: append },
    { operationId: 'a' },
    { operationId: 'b', transaction: { type: 'append_items' } },
    { operationId: 'c', transaction: { type: 'unheard_of', items: [] } },
    { operationId: 'd', transaction: { ...append, extra: true } },
    { operationId: 'e', transaction: { type: 'append_items', items: [{ type: 'nothing_of_the_protocol' }] } },
    {
      operationId: 'f',
      transaction: { type: 'append_items', items: [{ role: 'user', content: () => 'code' }] },
    },
  ];
  for (const args of malformed) {
    await assert.rejects(async () => session.applyHistoryTransaction(args as never));
  }
  assert.deepEqual(await visible(session), numbered(2));
}

async function mutations(session: Session): Promise<void> {
  if (!isSessionHistoryRewriteAwareSession(session)) return;
  const history: AgentInputItem[] = [
    userMessage('pay'),
    { type: 'function_call', callId: 'call_1', name: 'pay', arguments: '{"amount":1}', status: 'completed' },
    { type: 'function_call', callId: 'call_2', name: 'pay', arguments: '{"amount":2}', status: 'completed' },
    { type: 'function_call_result', callId: 'call_1', name: 'pay', status: 'completed', output: 'ok' },
  ];
  await session.addItems(history.map(cloneItem));
  const replacement = {
    type: 'function_call',
    callId: 'call_1',
    name: 'pay',
    arguments: '{"amount":100}',
    status: 'completed',
  } as const;
  await mutated(session, []);
  assert.deepEqual(await visible(session), history);
  await mutated(session, [{ type: 'replace_function_call', callId: 'no such call', replacement }]);
  assert.deepEqual(await visible(session), history);
  await mutated(session, [{ type: 'replace_function_call', callId: 'call_1', replacement }]);
  assert.deepEqual(await visible(session), [history[0], replacement, history[2], history[3]]);
}

async function compaction(session: Session): Promise<void> {
  if (session.replaceHistoryWithCompaction === undefined) return;
  await session.addItems(numbered(5));
  const marker: AgentInputItem = { type: 'compaction', encrypted_content: 'opaque' };
  await session.replaceHistoryWithCompaction([marker, userMessage('kept')]);
  // A store may keep items before the marker: the runner reads from the last marker on.
  const stored = await session.getItems();
  const at = stored.findLastIndex((item) => item.type === 'compaction');
  assert.ok(at >= 0, 'the compaction item is missing');
  assert.deepEqual(withoutIds(stored.slice(at + 1)), [userMessage('kept')]);
}

async function comparison(session: Session): Promise<void> {
  const prepare = session.prepareHistoryItemsForPersistenceComparison?.bind(session);
  if (prepare === undefined) return;
  const items = [...numbered(3), ...sampleItems().filter((item) => item.type === 'function_call')];
  const together = prepare(items.map(cloneItem));
  assert.equal(together.length, items.length, 'one element for each item');
  assert.deepEqual(
    together,
    items.flatMap((item) => prepare([cloneItem(item)])),
    'item by item',
  );
  assert.deepEqual(
    together.map((item) => item.type),
    items.map((item) => item.type),
  );
  return Promise.resolve();
}

async function addAll(session: Session, items: readonly AgentInputItem[], most: number): Promise<void> {
  for (let at = 0; at < items.length; at += most) {
    await session.addItems(items.slice(at, at + most).map(cloneItem));
  }
}

function numbered(count: number): AgentInputItem[] {
  return Array.from({ length: count }, (_, index) => userMessage(`number ${index}`));
}

/** The items of the session, without the ids that its backend adds. */
async function visible(session: Session, limit?: number): Promise<AgentInputItem[]> {
  return withoutIds(limit === undefined ? await session.getItems() : await session.getItems(limit));
}

function withoutIds(items: readonly AgentInputItem[]): AgentInputItem[] {
  return items.map((item) => {
    const copy = { ...item };
    delete copy.id;
    return copy;
  });
}

async function applied(
  session: SessionHistoryTransactionAwareSession,
  operationId: string,
  transaction: SessionHistoryTransaction,
): Promise<void> {
  await session.applyHistoryTransaction({ operationId, transaction });
}

async function mutated(
  session: SessionHistoryRewriteAwareSession,
  list: Parameters<SessionHistoryRewriteAwareSession['applyHistoryMutations']>[0]['mutations'],
): Promise<void> {
  await session.applyHistoryMutations({ mutations: list });
}
