import type { AgentInputItem, SessionHistoryMutation } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { invalidOption } from '../options.ts';
import { listed, readable, snapshotItem } from './item.ts';
import { plainCopy } from './plain-copy.ts';

/** The SDK's own session ignores unknown types: the rewrite would have no effect, without an error. */
const UNKNOWN =
  "A mutation of a history must have the type 'replace_function_call', the only known type, and a callId that is a " +
  'string.';

/**
 * A copy of the mutations of a call, each property read once. Fields that a later SDK gives them are kept.
 *
 * @param copy How a replacement is copied; throws for items that cannot be stored without loss.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when it is not a list, `ERR_INVALID_ITEM` for an invalid
 * element.
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
      const { replacement, ...others } = mutation as SessionHistoryMutation;
      const rest = plainCopy(others) as typeof others;
      if ((rest.type as string) !== 'replace_function_call' || typeof rest.callId !== 'string') {
        throw new StrongroomError('ERR_INVALID_ITEM', UNKNOWN);
      }
      return {
        ...rest,
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
