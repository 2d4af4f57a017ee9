import type {
  OpenAIResponsesCompactionOwnershipAwareSession,
  RunContextAwareSession,
  Session,
  SessionHistoryRewriteAwareSession,
  SessionHistoryTransactionAwareSession,
} from '@openai/agents';
import { VERSION } from '../session-contract.ts';

/** The name of a method that the SDK knows on a session. */
export type SessionMember = Exclude<
  keyof (RunContextAwareSession &
    SessionHistoryRewriteAwareSession &
    SessionHistoryTransactionAwareSession &
    OpenAIResponsesCompactionOwnershipAwareSession),
  symbol | 'acceptsRunContext'
>;

/** One call on its way to a session. `member` is a string because a session may have methods of its own. */
export interface InterceptedCall {
  readonly member: string;
  readonly args: readonly unknown[];
}

/** Members that only return a capability or compare: they change nothing and are called synchronously. */
const SYNCHRONOUS: readonly string[] = [
  'prepareHistoryItemForModelInput',
  'prepareHistoryItemsForPersistenceComparison',
  'preserveReasoningItemIdsForPersistence',
] satisfies SessionMember[];

/**
 * An object with exactly the members of `inner`, private state and symbols included, whose methods all pass through
 * `intercept`. The runner detects the capabilities of a session by its members, so a test double with one more or
 * one less would be another test. The three synchronous members are not intercepted. Only the version of a store's
 * history is omitted: with it a cache would query the store without the double, which could neither count nor fail
 * the query.
 */
export function interceptSession<S extends Session>(
  inner: S,
  intercept: (call: InterceptedCall, next: () => unknown) => Promise<unknown>,
): S {
  const outer: Record<PropertyKey, unknown> = {};
  // Each member by its key, whatever the session's own type.
  const members = inner as unknown as Record<PropertyKey, unknown>;
  for (const key of memberKeys(inner)) {
    const member = members[key];
    if (typeof member !== 'function') {
      Object.defineProperty(outer, key, {
        get: () => members[key],
        set: (value: unknown) => {
          members[key] = value;
        },
        enumerable: true,
        configurable: true,
      });
      continue;
    }
    // Looked up at each call and called on `inner`: private fields need the real receiver.
    const call = (args: unknown[]): unknown => Reflect.apply(members[key] as () => unknown, inner, args);
    outer[key] =
      typeof key === 'symbol' || SYNCHRONOUS.includes(key)
        ? (...args: unknown[]): unknown => call(args)
        : (...args: unknown[]): unknown => intercept({ member: key, args }, () => call(args));
  }
  // It has every member of `inner`, built by key.
  return outer as unknown as S;
}

function memberKeys(inner: object): Set<string | symbol> {
  const keys = new Set<string | symbol>();
  for (
    let level: object | null = inner;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level) as object | null
  ) {
    for (const key of Reflect.ownKeys(level)) if (key !== 'constructor' && key !== VERSION) keys.add(key);
  }
  return keys;
}
