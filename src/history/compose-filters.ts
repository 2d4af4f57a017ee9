import type { CallModelInputFilter, CallModelInputFilterArgs, ModelInputData } from '@openai/agents';
import { defined } from '../defined.ts';
import { invalidOption } from '../options.ts';

/**
 * Several `callModelInputFilter`s as one, the first one first. Each gets what the one before it returned. Items keep
 * their identity through the composite (`preserveInputIdentity`) only when every filter requests it.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION` when an argument is not a function.
 *
 * @example
 * ```ts
 * import { clearToolOutputs, composeFilters, limitImages } from 'strongroom/history';
 *
 * export const callModelInputFilter = composeFilters(limitImages({ max: 3 }), clearToolOutputs({ keep: 5 }));
 * ```
 */
export function composeFilters<TContext = unknown>(
  ...filters: readonly CallModelInputFilter<TContext>[]
): CallModelInputFilter<TContext> {
  for (const filter of filters) {
    if (typeof filter !== 'function')
      invalidOption('composeFilters()', 'every argument', 'a function', filter);
  }
  const composed: CallModelInputFilter<TContext> = async (
    args: CallModelInputFilterArgs<TContext>,
  ): Promise<ModelInputData> => {
    let { modelData } = args;
    for (const filter of filters) {
      const { instructions, input } = await filter({ ...args, modelData });
      // A filter that returns no instructions does not change them, as in the runner.
      const kept = instructions ?? modelData.instructions;
      modelData = defined({ input, instructions: kept });
    }
    return modelData;
  };
  if (filters.length > 0 && filters.every(({ preserveInputIdentity }) => preserveInputIdentity === true)) {
    composed.preserveInputIdentity = true;
  }
  return composed;
}
