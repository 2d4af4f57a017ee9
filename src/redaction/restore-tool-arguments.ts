import type { FunctionTool } from '@openai/agents';
import { checkOptions, invalidOption } from '../options.ts';
import type { Redactor } from './create-redactor.ts';

/** Options of {@link restoreToolArguments}. */
export interface RestoreToolArgumentsOptions {
  /** Only tokens of these entities reach the tool as values. Default: all. */
  readonly entities?: readonly string[];
}

/**
 * The same tool, which gets the values of tokens that were issued in this session. An invented token, or one of
 * another session, is passed to the tool unchanged. An approval policy that reads the arguments gets the values
 * too; the person who approves sees tokens, as in the run state.
 *
 * The result of the tool passes {@link redactModelInput} on its way to the model and `redact()` on its way to the
 * store, so a value in it is replaced by its token again.
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
  // `T` is a tool with any parameters; `never` as their type makes it no subtype of a callable tool.
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
  // A policy without parameters is one of the SDK's constants, which the SDK recognizes by identity.
  if (given.needsApproval.length > 0) {
    restored.needsApproval = async (runContext, input, callId) => {
      const text = await redactor.restoreText(JSON.stringify(input), entities);
      return given.needsApproval(runContext, JSON.parse(text) as typeof input, callId);
    };
  }
  // All properties of `tool`, two of them replaced by functions of the same signature.
  return restored as unknown as T;
}
