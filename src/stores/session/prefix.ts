import type { AgentInputItem } from '@openai/agents';
import { checkText, MAX_BYTES } from '../../limits.ts';
import { invalidOption } from '../../options.ts';
import { readPrefixArguments } from '../../protocol/arguments.ts';
import { digestInSlices, digestOf, operationKey } from '../../protocol/digest.ts';
import { isOwn, snapshotList } from '../../protocol/item.ts';
import { assertSameOperation, conflictError, itemKeys, SENTENCES } from '../../protocol/transaction.ts';
import { mapInSlices } from '../../slices.ts';
import { inheritBirth, withTimesOf } from '../record.ts';
import type { Changing } from './changing.ts';

/** Arguments of `replacePrefix` of a session of a store. */
export interface ReplacePrefixArgs {
  /** How many of the oldest items are replaced; at least 1. */
  readonly count: number;
  /** {@link historyDigest} of these items as `getItems()` returns them. */
  readonly digest: string;
  /** The items that replace them. */
  readonly replacement: readonly AgentInputItem[];
  /** Stable under retries. */
  readonly operationId: string;
  /**
   * Id of another session of the same store, at whose end the replaced items are appended in the same transaction;
   * or that session with other items to append there (a stack that seals gives them sealed for that session), and for each of them
   * which of the replaced records it is made from.
   */
  readonly archiveTo?:
    | string
    | {
        readonly sessionId: string;
        readonly items: readonly AgentInputItem[];
        readonly from?: readonly number[];
      };
}

export async function replacePrefix(
  { sessionId, encode, decode, mutate }: Changing,
  args: ReplacePrefixArgs,
): Promise<void> {
  const { count, digest, replacement, operationId, ...rest } = readPrefixArguments(args);
  const archiveTo = readArchive(rest.archiveTo, sessionId);
  const encoded = encode(replacement, true);
  const archiving = typeof archiveTo === 'object' ? encode(archiveTo.items, true) : undefined;
  const from = typeof archiveTo === 'object' ? (archiveTo.from ?? []) : [];
  const target = typeof archiveTo === 'object' ? archiveTo.sessionId : archiveTo;
  const content = `replace_prefix ${count} ${digest} ${itemKeys(replacement)} ${JSON.stringify(target ?? null)}`;
  const operation = { key: operationKey(operationId), digest: digestOf(content) };
  await mutate(async (change) => {
    const records = await encoded;
    const archived = await archiving;
    await change({ records: count, from: 'start', operation: operation.key }, async (view) => {
      if (assertSameOperation(view.operation, operation.digest)) return undefined;
      const found = view.records.length < count ? [] : await mapInSlices(view.records, decode, 1);
      if (found.length < count || (await digestInSlices(found)) !== digest) {
        throw conflictError(SENTENCES.prefix);
      }
      return {
        remove: { start: 0, count },
        insert: inheritBirth(records, view.records),
        operation,
        archive:
          target === undefined
            ? undefined
            : {
                sessionId: target,
                records:
                  archived === undefined
                    ? view.records
                    : withTimesOf(
                        archived,
                        from.map((index) => view.records[index]),
                      ),
              },
      };
    });
  });
}

/** A session of a store archives by id, or accepts records that a stack sealed for the archive. */
function readArchive(archiveTo: unknown, sessionId: string): ReplacePrefixArgs['archiveTo'] {
  const where = 'replacePrefix';
  if (archiveTo === undefined) return undefined;
  const sealed =
    typeof archiveTo === 'object'
      ? (archiveTo as Exclude<ReplacePrefixArgs['archiveTo'], string>)
      : undefined;
  const target: unknown = sealed === undefined ? archiveTo : sealed?.sessionId;
  checkText(where, 'archiveTo', target, MAX_BYTES.sessionId);
  if (target === sessionId) return invalidOption(where, 'archiveTo', 'the id of another session', target);
  if (sealed === undefined) return target;
  const { items, from } = sealed;
  return {
    sessionId: target,
    items: isOwn(items) ? items : snapshotList(items),
    ...(from !== undefined && { from }),
  };
}
