import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import { recordKey } from '../protocol/envelope.ts';
import type { ActiveCall } from './active-call.ts';
import { CLAIMS, commit } from './commit.ts';
import type { Context, Parts } from './parts.ts';
import type { Opened } from './records.ts';

/** `popItem`: removes the last visible item and the hidden records above it, and nothing on any failure. */
export function createRemoval({ inner, stack, pipeline, calls }: Parts): {
  popItem(runContext: Context): Promise<AgentInputItem | undefined>;
} {
  async function popItem(runContext: Context): Promise<AgentInputItem | undefined> {
    return calls.mutate('popItem', { runContext }, async (call, _appended, removed) => {
      await calls.assertWritable(call);
      let item: AgentInputItem | undefined;
      if (!stack.reads && !stack.enveloped) item = await inner.popItem(runContext);
      else {
        const gone = inner.hasTransactions ? await popByTransaction(call) : await popByLooking(call);
        item = gone.find((record) => record.visible !== undefined)?.visible?.item;
        removed(gone);
      }
      call.result.items = item === undefined ? 0 : 1;
      return item;
    });
  }

  /** The records from the last visible one to the end, or `undefined` when nothing is visible. */
  async function lastVisible(call: ActiveCall): Promise<Opened[] | undefined> {
    const opened = await pipeline.read(1, calls.quiet(call), true);
    const at = opened.findLastIndex((record) => record.visible !== undefined);
    if (at < 0) {
      calls.assertReadable(opened, call);
      return undefined;
    }
    const tail = opened.slice(at);
    await calls.assertRemovable(tail, call);
    return tail;
  }

  /** Returns the removed records: at most one visible record, and the hidden ones above it. */
  async function popByTransaction(call: ActiveCall): Promise<Opened[]> {
    for (let claim = 0; claim < CLAIMS; claim++) {
      const tail = await lastVisible(call);
      if (tail === undefined) return [];
      const expected = tail.map((record) => record.stored);
      const args: SessionHistoryTransactionArgs = {
        operationId: `strongroom:${randomName()}`,
        transaction: { type: 'replace_suffix', expectedSuffix: expected, replacement: [] },
      };
      if (await commit(inner, args, expected, call)) return tail;
    }
    throw new StrongroomError(
      'ERR_CONFLICT',
      `popItem on session ${JSON.stringify(call.sessionId)}: other writers changed the end of the history ${CLAIMS} times in a row. Nothing was removed; try again.`,
    );
  }

  async function popByLooking(call: ActiveCall): Promise<Opened[]> {
    const { runContext } = call;
    const gone: Opened[] = [];
    const tail = await lastVisible(call);
    if (tail === undefined) return gone;
    // Hidden records above the last visible one are removed first, then the visible one itself.
    for (const looked of tail.toReversed()) {
      const popped = await inner.popItem(runContext);
      if (popped === undefined) return gone;
      if (recordKey(popped) === recordKey(looked.stored)) {
        gone.push(looked);
        continue;
      }
      // Another writer was faster: the popped record is returned, if it can be opened.
      let opened: Opened | undefined;
      try {
        [opened] = await pipeline.open([popped], calls.quiet(call));
      } catch (error) {
        await inner.addItems([popped], runContext);
        throw error;
      }
      if (opened?.visible !== undefined) return [...gone, opened];
      await inner.addItems([popped], runContext);
      throw new StrongroomError(
        'ERR_CONFLICT',
        `popItem on session ${JSON.stringify(call.sessionId)}: another writer changed the end of the history. Its record was put back; try again.`,
      );
    }
    return gone;
  }

  return { popItem };
}
