import type {
  AgentInputItem,
  RunContext,
  SessionHistoryMutation,
  SessionHistoryRewriteArgs,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { itemKey } from '../item.ts';
import type { CallKind, Entry, Header, SessionCall } from '../layer.ts';
import type { Inner } from './inner.ts';
import { createMemory } from './memory.ts';
import { createPipeline, type Opened } from './pipeline.ts';
import { snapshotItems } from './plaintext.ts';
import { createQueue } from './queue.ts';
import { recordKey } from './record.ts';
import type { Stack } from './stack.ts';
import {
  APPLIED,
  checkItems,
  createOperationLog,
  loadSdk,
  snapshotTransaction,
  SUFFIX,
  transactionDigest,
} from './transactions.ts';

type Context = RunContext<unknown> | undefined;

/** How far back an operation or a call is looked for in raw records. */
const OPERATION_WINDOW = 256;
const CALL_WINDOW = 64;
/** How often a removal is tried again when another writer was faster. */
const CLAIMS = 16;

/** What `members.ts` puts behind the members of the SDK. */
export interface Engine {
  getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]>;
  addItems(items: AgentInputItem[], runContext: Context): Promise<void>;
  popItem(runContext: Context): Promise<AgentInputItem | undefined>;
  clearSession(runContext: Context): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void>;
  applyHistoryTransaction(args: SessionHistoryTransactionArgs, runContext: Context): Promise<void>;
  applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void>;
  /** A member that layers only watch: passes on as it is, in the order of the calls. */
  observe<T>(kind: CallKind, details: ObservedCall, next: () => Promise<T>): Promise<T>;
  /** The store deletes the session: what this process remembers of it goes too. */
  deleted<T>(next: () => Promise<T>): Promise<T>;
}

/** What is known of a call that only passes through. */
export interface ObservedCall {
  readonly runContext?: Context;
  readonly itemCount?: number;
  readonly mutates: boolean;
  readonly count?: (result: unknown) => number | undefined;
}

interface CallDetails {
  readonly limit?: number;
  readonly itemCount?: number;
  readonly operationId?: string;
  readonly runContext?: Context;
}

/** One wrapper's engine: order, pipeline, and what the SDK's contract asks of the members. */
export function createEngine(inner: Inner, stack: Stack, maxItemBytes: number): Engine {
  const queue = createQueue();
  const pipeline = createPipeline(inner, stack);
  const memory = createMemory();
  const operations = createOperationLog();
  let readOnly = false;
  /** After a clear: the entries that a compaction, written right after it, replaces. */
  let cleared: readonly Entry[] | undefined;

  // --- calls -------------------------------------------------------------------------------------------------

  async function begin(
    kind: CallKind,
    details: CallDetails,
  ): Promise<SessionCall & { skippedRecords: boolean }> {
    const { limit, itemCount, operationId, runContext } = details;
    const call: SessionCall & { skippedRecords: boolean } = {
      kind,
      sessionId: await inner.getSessionId(),
      ...(limit !== undefined && { limit }),
      ...(itemCount !== undefined && { itemCount }),
      ...(operationId !== undefined && { operationId }),
      ...(runContext !== undefined && { runContext }),
      inner: inner.session,
      routesByRunContext: inner.acceptsRunContext,
      sealed: stack.sealed,
      ...(inner.dekStore !== undefined && { dekStore: inner.dekStore }),
      result: {},
      now: () => stack.now(),
      lookBack: (match) => lookBack(match, call),
      skippedRecords: false,
      skipped() {
        call.skippedRecords = true;
      },
    };
    return call;
  }

  async function lookBack(match: (entry: Entry) => boolean, call: SessionCall): Promise<Entry | undefined> {
    const known = memory.find(match);
    if (known !== undefined) return known;
    let opened: Opened[];
    try {
      opened = await pipeline.open(await inner.getItems(CALL_WINDOW, call.runContext), quiet(call));
    } catch {
      // What cannot be read here was reported by the read that began the run; a write does not fail for it.
      return undefined;
    }
    return opened.findLast((record) => record.bottom !== undefined && match(record.bottom))?.bottom;
  }

  /** A look of our own must not make the wrapper read-only on top of what the caller's reads say. */
  const quiet = (call: SessionCall): SessionCall => ({ ...call, skipped: () => undefined });

  /** Runs `work` inside the `around` hooks, outermost first. */
  async function around<T>(call: SessionCall, work: () => Promise<T>): Promise<T> {
    let next = work;
    for (const layer of stack.layers.toReversed()) {
      if (layer.around === undefined) continue;
      const inside = next;
      next = async () => await (layer.around as NonNullable<typeof layer.around>)<T>(call, inside);
    }
    return await next();
  }

  /** Tells the layers of a mutation, before it and after it; `append` returns what an acknowledged append wrote. */
  async function mutating<T>(
    call: SessionCall,
    work: (appended: (entries: readonly Entry[]) => void) => Promise<T>,
  ): Promise<T> {
    const watchers = stack.layers.flatMap((layer) => layer.mutation?.(call) ?? []);
    let appended: readonly Entry[] | undefined;
    try {
      return await work((entries) => {
        appended = entries;
      });
    } finally {
      for (const watcher of watchers) watcher.done(appended);
    }
  }

  const mutation = async <T>(
    kind: CallKind,
    details: CallDetails,
    work: (call: SessionCall, appended: (entries: readonly Entry[]) => void) => Promise<T>,
  ): Promise<T> =>
    queue.mutate(async () => {
      const call = await begin(kind, details);
      return await around(call, async () => mutating(call, async (appended) => work(call, appended)));
    });

  function assertWritable(kind: CallKind, call: SessionCall): void {
    if (!readOnly) return;
    throw new StrongroomError(
      'ERR_READ_ONLY',
      `${kind} on session ${JSON.stringify(call.sessionId)} is refused: the last reads skipped records that could not be opened, and this call would remove them. Make them readable and call getItems() once, or use deleteSession() of the store.`,
    );
  }

  // --- reads -------------------------------------------------------------------------------------------------

  async function getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]> {
    if (limit !== undefined && limit <= 0) return [];
    return queue.read(async () => {
      const call = await begin('getItems', { ...(limit !== undefined && { limit }), runContext });
      return await around(call, async () => {
        if (!stack.transforms) {
          const items = await inner.getItems(limit, runContext);
          call.result.items = items.length;
          return items;
        }
        const opened = await pipeline.read(limit, call, false);
        const skipped = call.skippedRecords || opened.some((record) => record.skipped === true);
        if (skipped) readOnly = true;
        else if (limit === undefined) readOnly = false;
        if (limit === undefined && stack.stamped) memory.rememberFullRead(opened);
        let seen = opened.filter((record) => record.visible !== undefined);
        if (limit !== undefined && seen.length > limit) seen = seen.slice(-limit);
        const items = seen.map((record) => (record.visible as Entry).item);
        memory.remember([...items], seen);
        call.result.items = items.length;
        return items;
      });
    });
  }

  // --- writes ------------------------------------------------------------------------------------------------

  /**
   * Entries for items that the caller wrote. One that came from a recent read (a rollback writes those objects
   * back) keeps its stamps, and its stored text where a layer only changes what is read.
   */
  function entriesOf(items: readonly AgentInputItem[], origins: readonly (Opened | undefined)[]): Entry[] {
    return items.map((item, index) => {
      const origin = origins[index];
      if (origin?.bottom === undefined) return { item, header: {} };
      const original = origin.bottom.item;
      return { item: sameToRunner(item, original) ? original : item, header: stampsOf(origin.bottom.header) };
    });
  }

  function sameToRunner(left: AgentInputItem, right: AgentInputItem): boolean {
    return comparable(left) === comparable(right);
  }

  const comparable = (item: AgentInputItem): string => itemKey(stack.compare?.(item) ?? item);

  /** Writes and sends; once more when the sealing layer says that sealing anew can help. */
  async function send<R extends readonly Entry[]>(
    call: SessionCall,
    seal: () => Promise<R>,
    transmit: (sealed: R) => Promise<void>,
  ): Promise<R> {
    const sealed = await seal();
    try {
      await transmit(sealed);
      return sealed;
    } catch (error) {
      if (!stack.layers.some((layer) => layer.refused?.(error, call) === true)) throw error;
      const again = await seal();
      await transmit(again);
      return again;
    }
  }

  async function addItems(items: AgentInputItem[], runContext: Context): Promise<void> {
    if (!stack.transforms) {
      const details = { itemCount: items.length, runContext };
      return mutation('addItems', details, async (call) => {
        await inner.addItems(items, runContext);
        call.result.items = items.length;
      });
    }
    const snapshots = snapshotItems(items, maxItemBytes);
    const origins = memory.origins(items);
    return mutation('addItems', { itemCount: items.length, runContext }, async (call, appended) => {
      if (snapshots.length === 0) {
        appended([]);
        return;
      }
      const replaces = cleared !== undefined && snapshots.some(isCompaction) ? cleared : undefined;
      const writing = replaces === undefined ? call : { ...call, replaces };
      const written = await send(
        call,
        async () => pipeline.write(entriesOf(snapshots, origins), writing),
        async (sealed) => inner.addItems(sealed.map(storedOf), runContext),
      );
      cleared = undefined;
      memory.wrote(written);
      appended(written);
      call.result.items = snapshots.length;
    });
  }

  async function clearSession(runContext: Context): Promise<void> {
    return mutation('clearSession', { runContext }, async (call) => {
      assertWritable('clearSession', call);
      operations.forget();
      await inner.clearSession(runContext);
      cleared = memory.lastFullRead()?.flatMap((record) => record.bottom ?? []);
    });
  }

  async function replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void> {
    const details = { itemCount: items.length, runContext };
    if (!stack.transforms) {
      return mutation('replaceHistoryWithCompaction', details, async (call) => {
        await inner.replaceHistoryWithCompaction(items, runContext);
        call.result.items = items.length;
      });
    }
    const snapshots = snapshotItems(items, maxItemBytes);
    const origins = memory.origins(items);
    return mutation('replaceHistoryWithCompaction', details, async (call) => {
      assertWritable('replaceHistoryWithCompaction', call);
      let entries = entriesOf(snapshots, origins);
      let writing = call;
      if (stack.stamped) {
        // What is kept keeps its stamps, what is new may not outlive what it replaces: both need the old entries.
        const replaced = (await pipeline.read(undefined, quiet(call), true)).flatMap(
          (record) => record.bottom ?? [],
        );
        entries = keepStamps(entries, replaced);
        writing = { ...call, replaces: replaced };
      }
      const written = await send(
        call,
        async () => pipeline.write(entries, writing),
        async (sealed) => inner.replaceHistoryWithCompaction(sealed.map(storedOf), runContext),
      );
      operations.forget();
      memory.wrote(written);
      call.result.items = snapshots.length;
    });
  }

  /** Gives entries without stamps those of an equal entry in `from`, each used once. */
  function keepStamps(entries: readonly Entry[], from: readonly Entry[]): Entry[] {
    const stamps = new Map<string, Header[]>();
    for (const entry of from) {
      const key = comparable(entry.item);
      stamps.set(key, [...(stamps.get(key) ?? []), stampsOf(entry.header)]);
    }
    return entries.map((entry) => {
      if (entry.header.t !== undefined) return entry;
      const header = stamps.get(comparable(entry.item))?.shift();
      return header === undefined ? entry : { ...entry, header };
    });
  }

  // --- removal of the last item ------------------------------------------------------------------------------

  async function popItem(runContext: Context): Promise<AgentInputItem | undefined> {
    return mutation('popItem', { runContext }, async (call) => {
      assertWritable('popItem', call);
      let item: AgentInputItem | undefined;
      if (!stack.reads) item = await inner.popItem(runContext);
      else if (inner.hasTransactions) item = await popByTransaction(call);
      else item = await popByLooking(call);
      call.result.items = item === undefined ? 0 : 1;
      return item;
    });
  }

  /** The records from the last visible one to the end, or `undefined` when nothing is visible. */
  async function lastVisible(call: SessionCall): Promise<Opened[] | undefined> {
    const skips = { any: false };
    const watching: SessionCall = {
      ...call,
      skipped() {
        skips.any = true;
      },
    };
    const opened = await pipeline.read(1, watching, true);
    if (skips.any || opened.some((record) => record.skipped === true)) {
      readOnly = true;
      assertWritable('popItem', call);
    }
    const at = opened.findLastIndex((record) => record.visible !== undefined);
    return at < 0 ? undefined : opened.slice(at);
  }

  async function popByTransaction(call: SessionCall): Promise<AgentInputItem | undefined> {
    for (let claim = 0; claim < CLAIMS; claim++) {
      const tail = await lastVisible(call);
      if (tail === undefined) return undefined;
      const [last] = tail as [Opened];
      const expected = tail.map((record) => record.stored);
      const args: SessionHistoryTransactionArgs = {
        operationId: `strongroom:${globalThis.crypto.randomUUID()}`,
        transaction: { type: 'replace_suffix', expectedSuffix: expected, replacement: [] },
      };
      const done = await commit(args, expected, call);
      if (done) return (last.visible as Entry).item;
    }
    throw new StrongroomError(
      'ERR_CONFLICT',
      `popItem on session ${JSON.stringify(call.sessionId)}: other writers changed the end of the history ${CLAIMS} times in a row. Nothing was removed; try again.`,
    );
  }

  /**
   * Sends a removal of `expected`. False when another writer changed the end first. After an error the end tells:
   * unchanged means not applied; changed means applied with the answer lost, or another writer, and only the inner
   * session knows which, so it is asked again under the same operation id.
   */
  async function commit(
    args: SessionHistoryTransactionArgs,
    expected: readonly AgentInputItem[],
    call: SessionCall,
  ): Promise<boolean> {
    try {
      await inner.transact(args, call.runContext);
      return true;
    } catch (error) {
      const now = await inner.getItems(expected.length, call.runContext);
      const unchanged =
        now.length === expected.length &&
        now.every((record, index) => recordKey(record) === recordKey(expected[index] as AgentInputItem));
      if (unchanged) throw error;
      try {
        await inner.transact(args, call.runContext);
        return true;
      } catch {
        return false;
      }
    }
  }

  async function popByLooking(call: SessionCall): Promise<AgentInputItem | undefined> {
    const { runContext } = call;
    const tail = await lastVisible(call);
    if (tail === undefined) return undefined;
    // Hidden records above the last visible one go first, then the visible one itself.
    for (const looked of tail.toReversed()) {
      const popped = await inner.popItem(runContext);
      if (popped === undefined) return undefined;
      if (recordKey(popped) === recordKey(looked.stored)) {
        if (looked.visible !== undefined) return looked.visible.item;
        continue;
      }
      // Another writer was faster: what came is what is returned, if it can be opened.
      let opened: Opened | undefined;
      try {
        [opened] = await pipeline.open([popped], quiet(call));
      } catch (error) {
        await inner.addItems([popped], runContext);
        throw error;
      }
      if (opened?.visible !== undefined) return opened.visible.item;
      await inner.addItems([popped], runContext);
      throw new StrongroomError(
        'ERR_CONFLICT',
        `popItem on session ${JSON.stringify(call.sessionId)}: another writer changed the end of the history. Its record was put back; try again.`,
      );
    }
    return undefined;
  }

  // --- transactions ------------------------------------------------------------------------------------------

  async function applyHistoryTransaction(
    args: SessionHistoryTransactionArgs,
    runContext: Context,
  ): Promise<void> {
    if (!stack.transforms) {
      const details = {
        runContext,
        ...(typeof args?.operationId === 'string' && { operationId: args.operationId }),
      };
      return mutation('applyHistoryTransaction', details, async () => inner.transact(args, runContext));
    }
    const snapshot = snapshotTransaction(args, maxItemBytes);
    const { operationId, transaction } = snapshot;
    const itemCount =
      transaction.type === 'append_items' ? transaction.items.length : transaction.replacement.length;
    return mutation(
      'applyHistoryTransaction',
      { operationId, itemCount, runContext },
      async (call, appended) => {
        if (transaction.type === 'replace_suffix') assertWritable('applyHistoryTransaction', call);
        if (!stack.enveloped) {
          await inner.transact(await rewritten(snapshot, call), runContext);
        } else {
          await checkItems(transaction);
          const written = await transactSealed(snapshot, call);
          if (written !== undefined) {
            memory.wrote(written);
            if (transaction.type === 'append_items') appended(written);
          }
        }
        call.result.items = itemCount;
      },
    );
  }

  /** Without envelopes the inner session compares itself: everything goes through `write`, which is deterministic. */
  async function rewritten(
    { operationId, transaction }: SessionHistoryTransactionArgs,
    call: SessionCall,
  ): Promise<SessionHistoryTransactionArgs> {
    const write = async (items: readonly AgentInputItem[]): Promise<AgentInputItem[]> =>
      (
        await pipeline.write(
          items.map((item) => ({ item, header: {} })),
          call,
        )
      ).map(storedOf);
    return {
      operationId,
      transaction:
        transaction.type === 'append_items'
          ? { type: 'append_items', items: await write(transaction.items) }
          : {
              type: 'replace_suffix',
              expectedSuffix: await write(transaction.expectedSuffix),
              replacement: await write(transaction.replacement),
            },
    };
  }

  /** What was written, or `undefined` when the operation turned out to have been applied before. */
  async function transactSealed(
    { operationId, transaction }: SessionHistoryTransactionArgs,
    call: SessionCall,
  ): Promise<readonly Entry[] | undefined> {
    const digest = transactionDigest(transaction);
    const known = operations.get(operationId);
    if (known !== undefined) {
      if (known.digest === digest && known.sealed !== undefined) {
        await inner.transact(known.sealed, call.runContext);
        operations.acknowledge(operationId);
        return undefined;
      }
      if (known.digest !== digest && known.acknowledged) throw conflict(APPLIED, operationId);
    }
    if (await wasApplied(operationId, transaction, call)) return undefined;

    const plan =
      transaction.type === 'append_items'
        ? {
            fresh: transaction.items,
            call,
            sealed: (stored: AgentInputItem[]) => appendArgs(operationId, stored),
          }
        : await planReplacement(operationId, transaction, call);
    return await send(
      call,
      async () => pipeline.write(entriesOf(plan.fresh, []), plan.call),
      async (written) => {
        const sealed = plan.sealed(written.map(storedOf));
        operations.sent(operationId, digest, sealed);
        await inner.transact(sealed, call.runContext);
        operations.acknowledge(operationId);
      },
    );
  }

  /** Compares in plaintext, and prepares a replacement that hands the inner session its own raw records. */
  async function planReplacement(
    operationId: string,
    {
      expectedSuffix,
      replacement,
    }: Extract<SessionHistoryTransactionArgs['transaction'], { type: 'replace_suffix' }>,
    call: SessionCall,
  ): Promise<{
    fresh: AgentInputItem[];
    call: SessionCall;
    sealed: (stored: AgentInputItem[]) => SessionHistoryTransactionArgs;
  }> {
    const opened =
      expectedSuffix.length === 0 ? [] : await pipeline.read(expectedSuffix.length, quiet(call), true);
    const visible = opened.filter((record) => record.visible !== undefined).slice(-expectedSuffix.length);
    const equal =
      visible.length === expectedSuffix.length &&
      visible.every((record, index) =>
        sameToRunner((record.visible as Entry).item, expectedSuffix[index] as AgentInputItem),
      );
    if (!equal) throw conflict(SUFFIX, operationId);
    const first = visible[0] === undefined ? opened.length : opened.indexOf(visible[0]);
    const going = opened.slice(first);
    const reused = reuse(replacement, expectedSuffix);
    return {
      fresh: replacement.filter((_, index) => reused[index] === undefined),
      call: { ...call, replaces: going.flatMap((record) => record.bottom ?? []) },
      sealed(stored) {
        const next = stored.values();
        return {
          operationId,
          transaction: {
            type: 'replace_suffix',
            expectedSuffix: going.map((record) => record.stored),
            replacement: reused.map((at) =>
              at === undefined ? (next.next().value as AgentInputItem) : (visible[at] as Opened).stored,
            ),
          },
        };
      },
    };
  }

  /** For each replacement the index of the expected item that equals it, each used once; `undefined` when it is new. */
  function reuse(
    replacement: readonly AgentInputItem[],
    expected: readonly AgentInputItem[],
  ): readonly (number | undefined)[] {
    const free = new Map<string, number[]>();
    for (const [index, item] of expected.entries()) {
      const key = comparable(item);
      free.set(key, [...(free.get(key) ?? []), index]);
    }
    return replacement.map((item) => free.get(comparable(item))?.shift());
  }

  /**
   * Whether another process, or this one before it forgot, applied the operation: its records carry its tag.
   *
   * @throws {@link StrongroomError} `ERR_CONFLICT` when what carries the tag is something else.
   */
  async function wasApplied(
    operationId: string,
    transaction: SessionHistoryTransactionArgs['transaction'],
    call: SessionCall,
  ): Promise<boolean> {
    const result = transaction.type === 'append_items' ? transaction.items : transaction.replacement;
    // Replacements that equal an expected item kept their old record, and with it their old tag or none.
    const reused = transaction.type === 'append_items' ? [] : reuse(result, transaction.expectedSuffix);
    const tagged = result.flatMap((_, index) => (reused[index] === undefined ? [index] : []));
    const records = await inner.getItems(OPERATION_WINDOW, call.runContext);
    let anchor: { record: number; item: number } | undefined;
    for (let index = 0; index < records.length && anchor === undefined && tagged.length > 0; index++) {
      const record = records[index] as AgentInputItem;
      const match = await pipeline.matches(record, operationId, tagged.length, call);
      if (match >= 0) anchor = { record: index, item: tagged[match] as number };
    }
    if (anchor === undefined) return (await inner.applied(operationId)) === true;
    const opened = await pipeline.open(records, quiet(call));
    const present = opened.filter((record) => record.bottom !== undefined);
    const at = present.indexOf(opened[anchor.record] as Opened);
    const start = at - anchor.item;
    const whole =
      at >= 0 &&
      start >= 0 &&
      result.every((item, index) => {
        const entry = present[start + index]?.bottom;
        return entry !== undefined && sameToRunner(entry.item, item);
      });
    if (!whole) throw conflict(APPLIED, operationId);
    return true;
  }

  function conflict(sentence: string, operationId: string): StrongroomError {
    return new StrongroomError(
      'ERR_CONFLICT',
      `${sentence} Operation ${JSON.stringify(operationId)}: nothing was changed; read the history and start a new operation.`,
    );
  }

  // --- mutations ---------------------------------------------------------------------------------------------

  async function applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void> {
    const forward = async (mutations: SessionHistoryMutation[]): Promise<void> => {
      const session = inner.session as typeof inner.session & {
        applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void> | void;
      };
      await session.applyHistoryMutations({ mutations });
    };
    if (!stack.transforms) {
      return mutation('applyHistoryMutations', {}, async () => forward(args.mutations));
    }
    const mutations = args.mutations.map((each) => ({
      ...each,
      replacement: snapshotItems([each.replacement], maxItemBytes)[0] as typeof each.replacement,
    }));
    return mutation('applyHistoryMutations', { itemCount: mutations.length }, async (call) => {
      assertWritable('applyHistoryMutations', call);
      if (mutations.length === 0) return;
      if (stack.enveloped) return await mutateSealed(mutations, call);
      const written = await pipeline.write(
        mutations.map(({ replacement }) => ({ item: replacement, header: {} })),
        call,
      );
      await forward(
        mutations.map((each, index) => ({
          ...each,
          replacement: written[index]?.stored as typeof each.replacement,
        })),
      );
    });
  }

  /** Opens everything, mutates in plaintext, and sends one replacement from the first record that changed. */
  async function mutateSealed(mutations: SessionHistoryMutation[], call: SessionCall): Promise<void> {
    const { applySessionHistoryMutations } = await loadSdk();
    for (let claim = 0; claim < CLAIMS; claim++) {
      const opened = await pipeline.read(undefined, quiet(call), true);
      const visible = opened.filter((record) => record.visible !== undefined);
      const before = visible.map((record) => (record.bottom as Entry).item);
      const after = applySessionHistoryMutations(before, mutations);
      const keys = before.map(itemKey);
      const first = after.findIndex((item, index) => itemKey(item) !== keys[index]);
      const start = first < 0 ? Math.min(after.length, before.length) : first;
      if (start === before.length && after.length === before.length) return;
      const from = opened.indexOf(visible[start] as Opened);
      const going = opened.slice(from);
      const replacement = after.slice(start);
      const reused = reuse(replacement, before.slice(start));
      const written = await pipeline.write(
        replacement.flatMap((item, index) => (reused[index] === undefined ? [{ item, header: {} }] : [])),
        { ...call, replaces: going.flatMap((record) => record.bottom ?? []) },
      );
      const next = written.values();
      const expected = going.map((record) => record.stored);
      const args: SessionHistoryTransactionArgs = {
        operationId: `strongroom:${globalThis.crypto.randomUUID()}`,
        transaction: {
          type: 'replace_suffix',
          expectedSuffix: expected,
          replacement: reused.map((at) =>
            at === undefined
              ? ((next.next().value as Entry).stored as AgentInputItem)
              : (visible[start + at] as Opened).stored,
          ),
        },
      };
      if (await commit(args, expected, call)) return;
    }
    throw new StrongroomError(
      'ERR_CONFLICT',
      `applyHistoryMutations on session ${JSON.stringify(call.sessionId)}: other writers changed the history ${CLAIMS} times in a row. Nothing was changed; try again.`,
    );
  }

  // --- members that only pass through ------------------------------------------------------------------------

  async function observe<T>(kind: CallKind, details: ObservedCall, next: () => Promise<T>): Promise<T> {
    const { runContext, itemCount, mutates, count } = details;
    const work = async (): Promise<T> => {
      const call = await begin(kind, { runContext, ...(itemCount !== undefined && { itemCount }) });
      return await around(call, async () => {
        const result = mutates ? await mutating(call, next) : await next();
        const items = count?.(result) ?? itemCount;
        if (items !== undefined) call.result.items = items;
        return result;
      });
    };
    return mutates ? queue.mutate(work) : queue.read(work);
  }

  async function deleted<T>(next: () => Promise<T>): Promise<T> {
    return mutation('deleteSession', {}, async () => {
      const result = await next();
      operations.forget();
      readOnly = false;
      cleared = undefined;
      return result;
    });
  }

  return {
    getItems,
    addItems,
    popItem,
    clearSession,
    replaceHistoryWithCompaction,
    applyHistoryTransaction,
    applyHistoryMutations,
    observe,
    deleted,
  };
}

function appendArgs(operationId: string, items: AgentInputItem[]): SessionHistoryTransactionArgs {
  return { operationId, transaction: { type: 'append_items', items } };
}

function storedOf(entry: { readonly stored?: AgentInputItem }): AgentInputItem {
  return entry.stored as AgentInputItem;
}

function isCompaction(item: AgentInputItem): boolean {
  return item.type === 'compaction';
}

/** The stamps of an entry that is written again; seal and operation belong to the record that it was. */
function stampsOf(header: Header): Header {
  const { t, e, g } = header;
  return { ...(t !== undefined && { t }), ...(e !== undefined && { e }), ...(g !== undefined && { g }) };
}
