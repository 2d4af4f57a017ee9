import type { AgentInputItem, RunContext } from '@openai/agents';
import type { CallKind } from './layer.ts';
import { checkOptions, invalidOption } from './options.ts';

/** Who makes a call that is no member of a session, and why: for `authorize()` and `audit()`. */
export interface CallOrigin {
  /** What `check` and `actor` look at in calls of the runner. */
  readonly runContext?: RunContext<unknown>;
  /** Who calls; stands in the audit event unless its option `actor` says another. */
  readonly actor?: string;
  /** Why, such as the number of a request; stands in the audit event. */
  readonly purpose?: string;
}

/** The names of {@link CallOrigin}, for checks of options. */
export const ORIGIN: readonly (keyof CallOrigin)[] = ['runContext', 'actor', 'purpose'];

/** What of the options says who calls; what is no text is left out here and refused by {@link checkCall}. */
export function originOf(options: unknown): CallOrigin {
  const { runContext, actor, purpose } = (Object(options) === options ? options : {}) as CallOrigin;
  return {
    ...(typeof runContext === 'object' && runContext !== null && { runContext }),
    ...(typeof actor === 'string' && { actor }),
    ...(typeof purpose === 'string' && { purpose }),
  };
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

/** Under this symbol a wrapped store lets work on it go through its layers. */
export const CALLS: unique symbol = Symbol.for('strongroom.calls') as never;

/** Calls on a wrapped store that are no calls of a member of one of its sessions. */
export interface StoreCalls {
  /** One call on the whole store: layers see an empty session id. */
  whole<T>(kind: CallKind, origin: CallOrigin, work: () => Promise<T>): Promise<T>;
  /** A call that removes a session or a part of it; what is remembered of the session goes. */
  removing<T>(id: string, kind: CallKind, origin: CallOrigin, work: () => Promise<T>): Promise<T>;
  /** Deletes the session. */
  erase(id: string, kind: CallKind, origin: CallOrigin): Promise<void>;
  /** All items of the session as its caller sees them. */
  items(id: string, kind: CallKind, origin: CallOrigin): Promise<AgentInputItem[]>;
}
