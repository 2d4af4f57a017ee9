import type { AgentInputItem } from '@openai/agents';
import type { CopyPlan, CopyRecordsArgs } from '../../session-contract.ts';
import { digestInSlices, digestOf, operationKey } from '../../protocol/digest.ts';
import { assertSameOperation, conflictError, SENTENCES } from '../../protocol/transaction.ts';
import { mapInSlices } from '../../slices.ts';
import { withTimesOf } from '../record.ts';
import type { Changing } from './changing.ts';

/** Appends records that were made from the first ones of this session to another session, if those are still the first ones. */
export async function copyRecords(
  { encode, decode, mutate }: Changing,
  { count, digest, to, items, from, operationId }: CopyRecordsArgs,
): Promise<void> {
  const encoded = encode(items, true);
  const operation = { key: operationKey(operationId), digest: digestOf(`copy ${count} ${digest} ${to}`) };
  await mutate(async (change) => {
    const records = await encoded;
    await change({ records: count, from: 'start', operation: operation.key }, async (view) => {
      if (assertSameOperation(view.operation, operation.digest)) return undefined;
      const found = view.records.length < count ? [] : await mapInSlices(view.records, decode, 1);
      if (found.length < count || (await digestInSlices(found)) !== digest) {
        throw conflictError(SENTENCES.prefix);
      }
      const sources = from.map((index) => view.records[index]);
      return {
        remove: 'none',
        insert: [],
        operation,
        archive: { sessionId: to, records: withTimesOf(records, sources) },
      };
    });
  });
}

/** The same without layers: records are copied unchanged. */
export async function copyBeginning(
  { decode, mutate }: Pick<Changing, 'decode' | 'mutate'>,
  { count, to, operationId, begin }: CopyPlan,
): Promise<number> {
  const target = await to.getSessionId();
  const operation = { key: operationKey(operationId), digest: digestOf(`copy ${target}`) };
  let copied = 0;
  await begin();
  await mutate((change) =>
    change({ records: 'all', operation: operation.key }, async (view) => {
      if (assertSameOperation(view.operation, operation.digest)) return undefined;
      const items: readonly AgentInputItem[] = await mapInSlices(view.records, decode, 1);
      const records = view.records.slice(0, count(items));
      copied = records.length;
      if (copied === 0) return undefined;
      return { remove: 'none', insert: [], operation, archive: { sessionId: target, records } };
    }),
  );
  return copied;
}
