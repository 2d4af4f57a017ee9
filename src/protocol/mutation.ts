import type { AgentInputItem, SessionHistoryMutation } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { listed, readable, snapshotItem } from './item.ts';
import { invalidOption } from '../options.ts';
import { plainCopy } from './transaction.ts';

/**
 * A copy of the mutations of a call, each property read once. Fields that a later SDK gives them are kept.
 *
 * @param copy How a replacement is copied; throws for items that cannot be stored without loss.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for no list, `ERR_INVALID_ITEM` for what is in it.
 */
export function snapshotMutations(
  args: unknown,
  copy: (item: AgentInputItem) => AgentInputItem = snapshotItem,
): SessionHistoryMutation[] {
  return listedMutations(args).map((mutation) =>
    readable(() => {
      if (typeof mutation !== 'object' || mutation === null) {
        throw new StrongroomError('ERR_INVALID_ITEM', 'A mutation of a history must be an object.');
      }
      const { replacement, ...rest } = mutation as SessionHistoryMutation;
      return {
        ...(plainCopy(rest) as typeof rest),
        replacement: copy(replacement) as typeof replacement,
      };
    }),
  );
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` when there is no list of mutations. */
export function listedMutations(args: unknown): unknown[] {
  return readable(() => {
    const mutations = (args as { readonly mutations?: unknown } | null | undefined)?.mutations;
    return Array.isArray(mutations)
      ? listed(mutations)
      : invalidOption('applyHistoryMutations', 'mutations', 'an array', mutations);
  });
}
