import type { AgentInputItem } from '@openai/agents';
import type { CopyPlan, CopyRecordsArgs, ShareRecordsArgs } from '../../session-contract.ts';
import { digestInSlices, digestOf, operationKey } from '../../protocol/digest.ts';
import { mayShare } from '../../protocol/record-origin.ts';
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

/** Lets a branch share the first records of this session, if those are still the first ones. */
export async function shareRecords(
  { decode, mutate }: Pick<Changing, 'decode' | 'mutate'>,
  { to, beginning, operationId }: ShareRecordsArgs,
): Promise<void> {
  const { count = 0, digest } = beginning ?? {};
  const content = beginning === undefined ? `share ${to}` : `share ${count} ${digest} ${to}`;
  const operation = { key: operationKey(operationId), digest: digestOf(content) };
  await mutate((change) =>
    change({ records: count, from: 'start', operation: operation.key }, async (view) => {
      if (assertSameOperation(view.operation, operation.digest)) return undefined;
      if (beginning !== undefined) {
        const found = view.records.length < count ? [] : await mapInSlices(view.records, decode, 1);
        if (found.length < count || (await digestInSlices(found)) !== digest)
          throw conflictError(SENTENCES.prefix);
      }
      const share = { sessionId: to, count: beginning === undefined ? ('all' as const) : count };
      return { remove: 'none', insert: [], operation, share };
    }),
  );
}

/** The same without layers: records are copied unchanged, or shared. */
export async function copyBeginning(
  { sessionId, decode, mutate }: Pick<Changing, 'sessionId' | 'decode' | 'mutate'>,
  { count, whole, to, operationId, begin }: CopyPlan,
  canShare: boolean,
): Promise<number | undefined> {
  const target = await to.getSessionId();
  const shares = canShare && mayShare(target, sessionId);
  if (shares && whole === true) {
    await begin();
    await shareRecords({ decode, mutate }, { to: target, operationId });
    return undefined;
  }
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
      const given = shares
        ? { share: { sessionId: target, count: copied } }
        : { archive: { sessionId: target, records } };
      return { remove: 'none', insert: [], operation, ...given };
    }),
  );
  return copied;
}
