import { defined } from '../defined.ts';
import { StrongroomError } from '../errors.ts';
import type { CallOrigin } from '../layer.ts';
import { checkOptions, invalidOption } from '../options.ts';

/** The names of {@link CallOrigin}, for checks of options. */
export const ORIGIN: readonly (keyof CallOrigin)[] = ['runContext', 'actor', 'purpose'];

/** The options that say who calls; values that are not strings are omitted here and refused by {@link checkCall}. */
export function originOf(options: unknown): CallOrigin {
  const { runContext, actor, purpose } = (Object(options) === options ? options : {}) as CallOrigin;
  return defined({
    runContext: typeof runContext === 'object' && runContext !== null ? runContext : undefined,
    actor: typeof actor === 'string' ? actor : undefined,
    purpose: typeof purpose === 'string' ? purpose : undefined,
  });
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`. */
export function checkCall(where: string, options: unknown, known: readonly string[]): void {
  checkOptions(where, options, [...known, ...ORIGIN]);
  const { runContext, actor, purpose } = options as Record<string, unknown>;
  if (runContext !== undefined && (typeof runContext !== 'object' || runContext === null)) {
    invalidOption(where, 'runContext', 'a RunContext of @openai/agents', runContext);
  }
  for (const [name, value] of Object.entries({ actor, purpose })) {
    if (value !== undefined && typeof value !== 'string') invalidOption(where, name, 'a text', value);
  }
}

/**
 * For targets without layers. A caller that passes an actor expects `authorize()` or `audit()` to see it, so an
 * unwrapped store is a mistake.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when the options say who calls.
 */
export function refuseOrigin(where: string, options: unknown): void {
  if (Object(options) !== options) return;
  const given = ORIGIN.find((name) => (options as Record<string, unknown>)[name] !== undefined);
  if (given === undefined) return;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: ${given} is for authorize() and audit(), but this target has no layers. Pass a target that wrapStore() or ` +
      'wrapSession() returned, or omit it.',
  );
}
