import type {
  AgentInputItem,
  SessionHistoryMutation,
  SessionHistoryRewriteArgs,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import type { Entry, SessionCall } from '../layer.ts';
import { loadSdk } from '../load-sdk.ts';
import { itemKey } from '../protocol/item.ts';
import { listedMutations, snapshotMutations } from '../protocol/mutation.ts';
import { snapshotItems } from '../protocol/snapshot-items.ts';
import type { ActiveCall } from './active-call.ts';
import { CLAIMS, commit } from './commit.ts';
import { copiedNow, countOf, known, readNow, type Parts } from './parts.ts';
import { storedOf, type Opened } from './records.ts';
import { planReplacement } from './replacement.ts';

/** `applyHistoryMutations`: where the inner session sees no items, opened, mutated and replaced in one transaction. */
export function createMutations({ inner, stack, pipeline, calls, comparison, maxItemBytes }: Parts): {
  applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void>;
} {
  async function applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void> {
    const forward = async (mutations: SessionHistoryMutation[]): Promise<void> => {
      const session = inner.session as typeof inner.session & {
        applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void> | void;
      };
      await session.applyHistoryMutations({ mutations });
    };
    if (!stack.transforms) {
      const checked = readNow(() => listedMutations(args).map((each) => copiedNow(each)));
      return calls.mutate('applyHistoryMutations', { checked }, async () =>
        forward(checked() as SessionHistoryMutation[]),
      );
    }
    const checked = readNow(() =>
      snapshotMutations(args, (item) => snapshotItems([item], maxItemBytes)[0] as AgentInputItem),
    );
    const details = { ...known(() => countOf(checked())), checked };
    return calls.mutate('applyHistoryMutations', details, async (call, _appended, removed) => {
      const mutations = checked();
      await calls.assertWritable(call);
      if (mutations.length === 0) return;
      if (stack.opaque) {
        removed(await mutateSealed(mutations, call));
        return;
      }
      const written = await pipeline.write(await unsealedReplacements(mutations, call), call);
      await forward(
        mutations.map((each, index) => ({
          ...each,
          replacement: written[index]?.stored as typeof each.replacement,
        })),
      );
    });
  }

  /** A replacement that exactly equals the visible item of its call keeps the stored one. */
  async function unsealedReplacements(
    mutations: readonly SessionHistoryMutation[],
    call: SessionCall,
  ): Promise<readonly Entry[]> {
    const opened = stack.views ? await pipeline.read(undefined, calls.quiet(call), true) : [];
    // The oldest call of an id is set last.
    const byCallId = new Map<string, Opened>();
    for (const record of opened.toReversed()) {
      const item = record.bottom?.item;
      if (item?.type === 'function_call') byCallId.set(item.callId, record);
    }
    return mutations.flatMap(({ callId, replacement }) =>
      comparison.entriesOf([replacement], [byCallId.get(callId)]),
    );
  }

  /**
   * Opens everything, mutates in plaintext, and sends one replacement from the first record that changed. Returns
   * the replaced records.
   */
  async function mutateSealed(
    mutations: SessionHistoryMutation[],
    call: ActiveCall,
  ): Promise<readonly Opened[]> {
    const { applySessionHistoryMutations } = await loadSdk();
    for (let claim = 0; claim < CLAIMS; claim++) {
      const opened = await pipeline.read(undefined, calls.quiet(call), true);
      const visible = opened.filter((record) => record.visible !== undefined);
      const before = visible.map((record) => (record.bottom as Entry).item);
      const after = applySessionHistoryMutations(before, mutations);
      const keys = before.map(itemKey);
      const first = after.findIndex((item, index) => itemKey(item) !== keys[index]);
      const start = first < 0 ? Math.min(after.length, before.length) : first;
      if (start === before.length && after.length === before.length) return [];
      const from = opened.indexOf(visible[start] as Opened);
      const going = opened.slice(from);
      await calls.assertRemovable(going, call);
      const replacement = after.slice(start);
      const plan = await planReplacement(comparison, replacement, visible.slice(start));
      const written = await pipeline.write(plan.fresh, {
        ...call,
        replaces: going.flatMap((record) => record.bottom ?? []),
      });
      const expected = going.map((record) => record.stored);
      const args: SessionHistoryTransactionArgs = {
        operationId: `strongroom:${randomName()}`,
        transaction: {
          type: 'replace_suffix',
          expectedSuffix: expected,
          replacement: plan.records(written.map(storedOf)),
        },
      };
      if (await commit(inner, args, expected, call)) return going;
    }
    throw new StrongroomError(
      'ERR_CONFLICT',
      `applyHistoryMutations on session ${JSON.stringify(call.sessionId)}: other writers changed the history ${CLAIMS} times in a row. Nothing was changed; try again.`,
    );
  }

  return { applyHistoryMutations };
}
