import type { FunctionTool } from '@openai/agents';
import { checkOptions, invalidOption } from '../options.ts';
import type { Redactor } from './create-redactor.ts';

/** Options of {@link restoreToolArguments}. */
export interface RestoreToolArgumentsOptions {
  /** Only tokens of these entities reach the tool as values. Default: all. */
  readonly entities?: readonly string[];
}

/**
 * The same tool, given real values where the model wrote tokens: those that were issued in this session, no others.
 * A token that was made up, or that belongs to another session, reaches the tool as it is. An approval policy that
 * looks at the arguments sees the real values too; the person who approves sees tokens, as the run state does.
 *
 * What the tool returns goes to the model through {@link redactModelInput} and to the store through `redact()`, so a
 * value that it repeats becomes its token again.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { MemorySession, tool } from '@openai/agents';
 * import { generateKey } from 'strongroom';
 * import { createRedactor, restoreToolArguments } from 'strongroom/redaction';
 * import { z } from 'zod';
 *
 * const redactor = createRedactor({
 *   operators: { DEFAULT: { type: 'pseudonymize', key: new Uint8Array(32) } }, // your key, never this one
 *   vault: new MemorySession(),
 * });
 * export const sendEmail = restoreToolArguments(
 *   tool({
 *     name: 'send_email',
 *     description: 'Sends an e-mail.',
 *     parameters: z.object({ to: z.string() }),
 *     execute: async ({ to }) => `sent to ${to}`,
 *   }),
 *   redactor,
 * );
 * ```
 */
export function restoreToolArguments<T extends FunctionTool<never, never, unknown>>(
  tool: T,
  redactor: Redactor,
  options: RestoreToolArgumentsOptions = {},
): T {
  const where = 'restoreToolArguments';
  checkOptions(where, options, ['entities']);
  // `T` is a tool of any parameters, and `never` in its place makes it no subtype of a tool that can be called.
  const given = tool as unknown as FunctionTool;
  if (
    typeof given !== 'object' ||
    given === null ||
    given.type !== 'function' ||
    typeof given.invoke !== 'function'
  ) {
    invalidOption(where, 'tool', 'a function tool', tool);
  }
  const { entities } = options;
  if (
    entities !== undefined &&
    (!Array.isArray(entities) || entities.some((entity) => typeof entity !== 'string'))
  ) {
    invalidOption(where, 'entities', 'an array of entity names', entities);
  }
  const restored = Object.defineProperties({}, Object.getOwnPropertyDescriptors(given)) as FunctionTool;
  restored.invoke = async (runContext, input, details) =>
    given.invoke(runContext, await redactor.restoreText(input, entities), details);
  // A policy without parameters is one of the SDK's constants, which it knows by identity.
  if (given.needsApproval.length > 0) {
    restored.needsApproval = async (runContext, input, callId) => {
      const text = await redactor.restoreText(JSON.stringify(input), entities);
      return given.needsApproval(runContext, JSON.parse(text) as typeof input, callId);
    };
  }
  // All properties of `tool`, two of them replaced by functions of the same signature.
  return restored as unknown as T;
}
