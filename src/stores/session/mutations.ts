import type { AgentInputItem, SessionHistoryRewriteArgs } from '@openai/agents';
import { loadSdk } from '../../load-sdk.ts';
import { itemKey } from '../../protocol/item.ts';
import { snapshotMutations } from '../../protocol/mutation.ts';
import { mapInSlices } from '../../slices.ts';
import type { Change, StoredRecord } from '../driver.ts';
import { encodeRecord, inheritBirth } from '../record.ts';
import type { Changing } from './changing.ts';

export async function applyMutations(
  { decode, mutate, now }: Changing,
  args: SessionHistoryRewriteArgs,
): Promise<void> {
  const mutations = snapshotMutations(args);
  if (mutations.length === 0) return;
  await mutate(async (change) => {
    const { applySessionHistoryMutations } = await loadSdk();
    await change({ records: 'all' }, async ({ records }) => {
      const before = await mapInSlices(records, decode, 1);
      return difference(records, before, applySessionHistoryMutations(before, mutations), now());
    });
  });
}

/** The smallest run of records that has to be rewritten; `undefined` when the lists are equal. */
function difference(
  records: readonly StoredRecord[],
  before: readonly AgentInputItem[],
  after: readonly AgentInputItem[],
  now: number,
): Change | undefined {
  const old = before.map(itemKey);
  const next = after.map(itemKey);
  let start = 0;
  while (start < old.length && start < next.length && old[start] === next[start]) start++;
  let end = 0;
  while (
    end < old.length - start &&
    end < next.length - start &&
    old[old.length - 1 - end] === next[next.length - 1 - end]
  ) {
    end++;
  }
  const count = old.length - start - end;
  const written = after.slice(start, next.length - end).map((item) => encodeRecord(item, now));
  if (count === 0 && written.length === 0) return undefined;
  const replaced = records.slice(start, start + count);
  // Records inside the run that did not change are kept, so that only rewritten records have new times.
  const kept = new Map(replaced.map((record, index) => [old[start + index], record]));
  const insert = inheritBirth(written, replaced).map(
    (record, index) => kept.get(next[start + index]) ?? record,
  );
  return { remove: { start, count }, insert };
}
