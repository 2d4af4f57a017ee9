import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import type { SessionCall, Header, CallOrigin, Entry } from '../layer.ts';
import { listed } from '../protocol/item.ts';
import { snapshotListed } from '../protocol/snapshot-items.ts';
import { copiedNow, readNow, send, type Context, type Parts } from './parts.ts';
import { recordsOf, type Opened, type Written } from './records.ts';

/** The members of the SDK that write without a transaction. */
export interface Writes {
  addItems(
    items: AgentInputItem[],
    runContext: Context,
    origin?: CallOrigin,
    headers?: readonly Header[],
  ): Promise<void>;
  clearSession(runContext: Context): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void>;
}

export function createWrites(parts: Parts): Writes {
  const { inner, stack, pipeline, histories, calls, comparison, maxItemBytes } = parts;

  /** The list as it is now, and the records of items that were read. */
  function taken(items: unknown, runContext: Context): Taken {
    let list: readonly AgentInputItem[] = [];
    const checked = readNow(() => snapshotListed((list = listed(items)), maxItemBytes));
    return { checked, origins: histories.origins(list, runContext), itemCount: list.length };
  }

  /** To an inner session that checks the items itself. */
  function passOn(
    member: 'addItems' | 'replaceHistoryWithCompaction',
    items: AgentInputItem[],
    runContext: Context,
    origin?: CallOrigin,
  ): Promise<void> {
    const checked = readNow(() => copiedNow(listed(items)));
    const itemCount = orNone(checked).length;
    return calls.mutate(member, { ...origin, itemCount, runContext, checked }, async (call) => {
      await inner[member](checked(), runContext);
      call.result.items = itemCount;
    });
  }

  function addItems(
    items: AgentInputItem[],
    runContext: Context,
    origin?: CallOrigin,
    headers?: readonly Header[],
  ): Promise<void> {
    if (!stack.transforms) return passOn('addItems', items, runContext, origin);
    const { checked, origins, itemCount } = taken(items, runContext);
    const { actor, purpose } = origin ?? {};
    const details = { actor, purpose, itemCount, runContext, checked };
    return calls.mutate('addItems', details, async (call, appended) => {
      const snapshots = checked();
      if (snapshots.length === 0) return appended([]);
      const { memory } = histories.of(call);
      const replaces = snapshots.some(isCompaction) ? histories.cleared(call) : undefined;
      const writing = replaces === undefined ? call : { ...call, replaces };
      let isSent = false;
      let written: readonly Written[];
      try {
        written = await send(
          stack,
          call,
          () =>
            pipeline.write(
              withHeaders(comparison.entriesOf(snapshots, origins), stack.enveloped ? headers : undefined),
              writing,
            ),
          (sealed) => {
            isSent = true;
            return inner.addItems(recordsOf(stack, sealed), runContext);
          },
        );
      } catch (error) {
        throw isSent ? error : unwritten(error);
      }
      histories.setCleared(call, undefined);
      memory.wrote(written);
      appended(written);
      call.result.items = snapshots.length;
    });
  }

  async function clearSession(runContext: Context): Promise<void> {
    return calls.mutate('clearSession', { runContext }, async (call) => {
      await calls.assertWritable(call);
      const { memory, operations } = histories.of(call);
      const going = await clearing(call);
      operations.forget();
      await inner.clearSession(runContext);
      histories.setCleared(
        call,
        going?.map((header) => ({ header })),
      );
      memory.forget();
    });
  }

  /** The headers of the removed records. They are read again if they were evicted; an unreadable record has none. */
  async function clearing(call: SessionCall): Promise<readonly Header[] | undefined> {
    const known = histories.of(call).memory.lastFullRead();
    if (known !== 'forgotten') return known;
    try {
      const opened = await pipeline.read(undefined, calls.quiet(call), true);
      return opened.flatMap(({ bottom }) => bottom?.header ?? []);
    } catch {
      return undefined;
    }
  }

  async function replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void> {
    if (!stack.transforms) return passOn('replaceHistoryWithCompaction', items, runContext);
    const { checked, origins, itemCount } = taken(items, runContext);
    const details = { itemCount, runContext, checked };
    return calls.mutate('replaceHistoryWithCompaction', details, async (call, _appended, removed) => {
      const snapshots = checked();
      await calls.assertWritable(call);
      const { memory } = histories.of(call);
      let going: readonly Opened[] = [];
      let entries = comparison.entriesOf(snapshots, origins);
      let writing = call;
      if (stack.stamped || stack.views) {
        // Kept items keep stamps and stored text; new ones may not expire later than those that they replace.
        going = await pipeline.read(undefined, calls.quiet(call), true);
        await calls.assertRemovable(going, call);
        const replaced = going.flatMap((record) => record.bottom ?? []);
        entries = await comparison.restored(entries, going);
        writing = { ...call, replaces: replaced };
      }
      const written = await send(
        stack,
        call,
        async () => pipeline.write(entries, writing),
        async (sealed) => inner.replaceHistoryWithCompaction(recordsOf(stack, sealed), runContext),
      );
      removed(going);
      memory.wrote(written);
      call.result.items = snapshots.length;
    });
  }

  return { addItems, clearSession, replaceHistoryWithCompaction };
}

function withHeaders(entries: readonly Entry[], headers: readonly Header[] | undefined): readonly Entry[] {
  return headers === undefined
    ? entries
    : entries.map((entry, index) => ({ ...entry, header: headers[index] ?? {} }));
}

/** The items of a caller, read once. */
interface Taken {
  readonly checked: () => AgentInputItem[];
  readonly origins: readonly (Opened | undefined)[];
  readonly itemCount: number;
}

function orNone(list: () => AgentInputItem[]): readonly AgentInputItem[] {
  try {
    return list();
  } catch {
    return [];
  }
}

/** An error before anything was sent means that nothing was written, for any cause: a key service, a read. */
function unwritten(error: unknown): unknown {
  if (isStrongroomError(error) && error.written === undefined) Object.assign(error, { written: 'no' });
  return error;
}

function isCompaction(item: AgentInputItem): boolean {
  return item.type === 'compaction';
}
