import type { FunctionTool } from '@openai/agents';
import { checkOptions, invalidOption } from '../options.ts';
import type { Redactor } from './create-redactor.ts';
import { parsedArguments } from './parsed-arguments.ts';

/** Options of {@link restoreToolArguments}. */
export interface RestoreToolArgumentsOptions {
  /** Only tokens of these entities reach the tool as values. Default: all. */
  readonly entities?: readonly string[];
}

/**
 * The same tool, which gets the values of tokens that were issued in this session. An invented token, or one of
 * another session, is passed to the tool unchanged. An approval policy that reads the arguments gets the values
 * too, parsed by the tool's schema, as it does without this function; the person who approves and the guardrails of
 * the tool see tokens, as in the run state.
 *
 * Where these arguments cannot be parsed as the SDK does, the call needs an approval, and the policy is not asked: for
 * a tool that `tool()` did not make (or `tool()` of another installed copy of the SDK), and for a schema whose output is
 * no plain object. A schema is run once for the policy and once for the tool, so it must give
 * the same output both times.
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
  restoredInvokes.add(restored.invoke);
  // The SDK recognizes its own constants by identity.
  if (readsArguments(given.needsApproval)) {
    restored.needsApproval = async (runContext, input, callId) => {
      const text = exactJson(input);
      if (text === undefined) return true;
      const values = await redactor.restoreText(text, entities);
      // A tool that was restored before parses by itself, after it has restored.
      const parsed = restoredInvokes.has(given.invoke)
        ? { value: JSON.parse(values) as unknown }
        : await parsedArguments(given, values);
      if (parsed === undefined) return true;
      // The SDK gives a policy what the schema made, whatever type that has.
      return given.needsApproval(runContext, parsed.value as typeof input, callId);
    };
  }
  // All properties of `tool`, two of them replaced by functions of the same signature.
  return restored as unknown as T;
}

/** The `invoke` of tools that this function returned. */
const restoredInvokes = new WeakSet<FunctionTool['invoke']>();

/**
 * `false` only for an arrow function without parameters, as the constants of the SDK are: `length` does not count rest
 * parameters and those with defaults, and other functions have `arguments`.
 */
function readsArguments(policy: FunctionTool['needsApproval']): boolean {
  return policy.length > 0 || !/^(?:async\s*)?\(\s*\)\s*=>/.test(Function.prototype.toString.call(policy));
}

/** `undefined` when the text would not give the same value again: `1e400` is parsed as `Infinity`, which is `null` in JSON. */
function exactJson(value: unknown): string | undefined {
  let exact = true;
  const text = JSON.stringify(value, (_key, part: unknown) => {
    exact &&= typeof part !== 'number' || Number.isFinite(part);
    return part;
  });
  return exact ? text : undefined;
}
