import type { AgentInputItem } from '@openai/agents';
import { storedOf, type Opened } from './pipeline.ts';
import { send, type Context, type Parts } from './parts.ts';
import { snapshotItems } from './plaintext.ts';
import type { Entry } from '../layer.ts';

/** `addItems`, `clearSession` and `replaceHistoryWithCompaction`. */
export function createWrites(parts: Parts): {
  addItems(items: AgentInputItem[], runContext: Context): Promise<void>;
  clearSession(runContext: Context): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void>;
} {
  const { inner, stack, pipeline, memory, calls, comparison, operations, maxItemBytes } = parts;
  /** After a clear: the entries that a compaction, written right after it, replaces. */
  let cleared: readonly Entry[] | undefined;

  async function addItems(items: AgentInputItem[], runContext: Context): Promise<void> {
    if (!stack.transforms) {
      const details = { itemCount: items.length, runContext };
      return calls.mutate('addItems', details, async (call) => {
        await inner.addItems(items, runContext);
        call.result.items = items.length;
      });
    }
    const snapshots = snapshotItems(items, maxItemBytes);
    const origins = memory.origins(items);
    return calls.mutate('addItems', { itemCount: items.length, runContext }, async (call, appended) => {
      if (snapshots.length === 0) {
        appended([]);
        return;
      }
      const replaces = cleared !== undefined && snapshots.some(isCompaction) ? cleared : undefined;
      const writing = replaces === undefined ? call : { ...call, replaces };
      const written = await send(
        stack,
        call,
        async () => pipeline.write(comparison.entriesOf(snapshots, origins), writing),
        async (sealed) => inner.addItems(sealed.map(storedOf), runContext),
      );
      cleared = undefined;
      memory.wrote(written);
      appended(written);
      call.result.items = snapshots.length;
    });
  }

  async function clearSession(runContext: Context): Promise<void> {
    return calls.mutate('clearSession', { runContext }, async (call) => {
      calls.assertWritable(call);
      operations.forget();
      await inner.clearSession(runContext);
      cleared = memory.lastFullRead()?.flatMap((record) => record.bottom ?? []);
    });
  }

  async function replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void> {
    const details = { itemCount: items.length, runContext };
    if (!stack.transforms) {
      return calls.mutate('replaceHistoryWithCompaction', details, async (call) => {
        await inner.replaceHistoryWithCompaction(items, runContext);
        call.result.items = items.length;
      });
    }
    const snapshots = snapshotItems(items, maxItemBytes);
    const origins = memory.origins(items);
    return calls.mutate('replaceHistoryWithCompaction', details, async (call, _appended, removed) => {
      calls.assertWritable(call);
      let going: readonly Opened[] = [];
      let entries = comparison.entriesOf(snapshots, origins);
      let writing = call;
      if (stack.stamped) {
        // What is kept keeps its stamps, what is new may not outlive what it replaces: both need the old entries.
        going = await pipeline.read(undefined, calls.quiet(call), true);
        calls.assertReadable(going, call);
        const replaced = going.flatMap((record) => record.bottom ?? []);
        entries = comparison.keepStamps(entries, replaced);
        writing = { ...call, replaces: replaced };
      }
      const written = await send(
        stack,
        call,
        async () => pipeline.write(entries, writing),
        async (sealed) => inner.replaceHistoryWithCompaction(sealed.map(storedOf), runContext),
      );
      removed(going);
      memory.wrote(written);
      call.result.items = snapshots.length;
    });
  }

  return { addItems, clearSession, replaceHistoryWithCompaction };
}

function isCompaction(item: AgentInputItem): boolean {
  return item.type === 'compaction';
}
