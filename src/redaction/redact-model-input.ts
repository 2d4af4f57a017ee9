import type { CallModelInputFilter } from '@openai/agents';
import type { Redactor } from './create-redactor.ts';

/**
 * A `callModelInputFilter` that redacts the model's input: history, new input, tool results and the instructions.
 * The runner stores the filtered input, so the store gets the same; answers of the model are not filtered, so the
 * session needs a `redact()` layer as well.
 *
 * A tool then gets the redacted values; with `pseudonymize`, wrap it in {@link restoreToolArguments}.
 *
 * @example
 * ```ts
 * import { Agent, run } from '@openai/agents';
 * import { createRedactor, redactModelInput } from 'strongroom/redaction';
 *
 * const agent = new Agent({ name: 'Support' });
 * const filter = redactModelInput(createRedactor());
 * await run(agent, 'I am jane@acme.com', { callModelInputFilter: filter });
 * ```
 */
export function redactModelInput(redactor: Redactor): CallModelInputFilter {
  return async ({ modelData }) => {
    const { items } = await redactor.redactItems(modelData.input);
    const { instructions } = modelData;
    return {
      ...modelData,
      input: items,
      ...(instructions === undefined ? undefined : { instructions: await redactor.redactText(instructions) }),
    };
  };
}
