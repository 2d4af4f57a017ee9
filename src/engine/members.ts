import type {
  AgentInputItem,
  OpenAIResponsesCompactionAwareSession,
  OpenAIResponsesCompactionOwnershipAwareSession,
  RunContext,
  RunContextAwareSession,
  Session,
  SessionHistoryRewriteAwareSession,
  SessionHistoryTransactionAwareSession,
} from '@openai/agents';
import type { Engine } from './engine.ts';
import type { Inner } from './inner.ts';
import { countOf } from './parts.ts';
import type { Stack } from './stack.ts';

/** All session interfaces of the SDK in one. */
type SdkSession = Session &
  RunContextAwareSession &
  SessionHistoryRewriteAwareSession &
  SessionHistoryTransactionAwareSession &
  OpenAIResponsesCompactionAwareSession &
  OpenAIResponsesCompactionOwnershipAwareSession;

/** Every member that a session of the SDK can have. */
export type SessionMember = keyof SdkSession;

/** The input of a row. */
export interface MemberContext {
  readonly inner: Inner;
  readonly stack: Stack;
  readonly engine: Engine;
  /** Whether the inner session has the member (for a method: as a function). */
  readonly has: (member: SessionMember) => boolean;
}

/** The wrapper's member, or `undefined` when the wrapper must not have it: the runner asks by presence. */
type Row<K extends SessionMember> = (context: MemberContext) => NonNullable<SdkSession[K]> | undefined;

type Context = RunContext<unknown> | undefined;

/**
 * The only place that knows the SDK's wide interface: one row for each member, each either goes through the engine,
 * or is passed on because no layer sees items, or is absent. A member that the SDK adds is a compile error here; one
 * that an inner session has beyond these is never passed on, because it could be another way to write (a forwarding
 * proxy wrote plain text to disk on an ordinary run).
 */
export const MEMBERS: { readonly [K in SessionMember]-?: Row<K> } = {
  getSessionId:
    ({ inner }) =>
    () =>
      inner.getSessionId(),
  getItems:
    ({ engine }) =>
    (limit?: number, runContext?: Context) =>
      engine.getItems(limit, runContext),
  addItems:
    ({ engine }) =>
    (items: AgentInputItem[], runContext?: Context) =>
      engine.addItems(items, runContext),
  popItem:
    ({ engine }) =>
    (runContext?: Context) =>
      engine.rare().popItem(runContext),
  clearSession:
    ({ engine }) =>
    (runContext?: Context) =>
      engine.clearSession(runContext),

  replaceHistoryWithCompaction: ({ engine, has }) =>
    has('replaceHistoryWithCompaction')
      ? (items: AgentInputItem[], runContext?: Context) =>
          engine.replaceHistoryWithCompaction(items, runContext)
      : undefined,

  applyHistoryTransaction: ({ engine, has }) =>
    has('applyHistoryTransaction')
      ? (args, runContext) => engine.rare().applyHistoryTransaction(args, runContext as Context)
      : undefined,

  // Under an envelope or a codec the inner session cannot see call ids: open, mutate in plaintext, replace in one transaction.
  applyHistoryMutations: ({ engine, has, stack, inner }) =>
    has('applyHistoryMutations') && (!stack.opaque || inner.hasTransactions)
      ? (args) => engine.rare().applyHistoryMutations(args)
      : undefined,

  // The inner session rewrites its own items; it cannot rewrite envelopes or the output of a codec.
  prepareHistoryItemForModelInput: ({ inner, has, stack }) =>
    has('prepareHistoryItemForModelInput') && !stack.opaque
      ? (item) =>
          (inner.session.prepareHistoryItemForModelInput as (item: AgentInputItem) => AgentInputItem)(item)
      : undefined,

  // Synchronous and item by item, as the runner requires. Under an envelope or a codec records are read as they
  // were written, so the inner session does not normalize them.
  prepareHistoryItemsForPersistenceComparison: ({ inner, has, stack }) => {
    const { compare } = stack;
    const native = has('prepareHistoryItemsForPersistenceComparison') && !stack.opaque;
    const normalize = (items: AgentInputItem[]): AgentInputItem[] =>
      native ? (inner.session.prepareHistoryItemsForPersistenceComparison?.(items) ?? items) : items;
    if (compare !== undefined) return (items) => normalize(items.map((item) => compare(item)));
    return native ? normalize : undefined;
  },

  preserveReasoningItemIdsForPersistence: ({ inner, has }) =>
    has('preserveReasoningItemIdsForPersistence')
      ? () => inner.session.preserveReasoningItemIdsForPersistence?.() === true
      : undefined,

  acceptsRunContext: ({ inner, stack }) =>
    inner.acceptsRunContext || stack.wantsRunContext ? true : undefined,

  // Compaction of the inner session reads and writes below the layers, so only observers may stand above it
  // (wrapSession refuses others). Receipts of ownership belong to the inner object: all arguments are passed
  // unchanged.
  runCompaction: ({ inner, engine, has }) =>
    has('runCompaction')
      ? (...args) =>
          engine
            .rare()
            .observe(
              'runCompaction',
              { runContext: args[1] as Context, mutates: true },
              async () => await (inner.session as SdkSession).runCompaction(...args),
            )
      : undefined,
  getItemsWithCompactionOwnership: ({ inner, engine, has }) =>
    has('getItemsWithCompactionOwnership')
      ? (...args) =>
          engine.rare().observe(
            'getItemsWithCompactionOwnership',
            {
              runContext: args[0] as Context,
              mutates: false,
              count: (result) => (result as { items: readonly unknown[] }).items.length,
            },
            async () => await (inner.session as SdkSession).getItemsWithCompactionOwnership(...args),
          )
      : undefined,
  addItemsWithCompactionOwnership: ({ inner, engine, has }) =>
    has('addItemsWithCompactionOwnership')
      ? (...args) =>
          engine
            .rare()
            .observe(
              'addItemsWithCompactionOwnership',
              { runContext: args[2] as Context, ...countOf(args[0]), mutates: true },
              async () => await (inner.session as SdkSession).addItemsWithCompactionOwnership(...args),
            )
      : undefined,
};

/** Internal methods of the SDK's own compaction session. */
const INTERNAL = [
  'ownsCompaction',
  'shouldTriggerCompaction',
  'runCompactionOperation',
  'runMutationOperation',
  'getAllUnderlyingSessionItems',
  'replaceUnderlyingSessionItems',
  'restoreUnderlyingSessionItemsAfterFailedClear',
  'restoreUnderlyingSessionItems',
  'ensureCompactionCandidates',
];

const KNOWN: ReadonlySet<string> = new Set([...Object.keys(MEMBERS), ...INTERNAL, 'constructor']);

/** Methods of `session` that are neither the SDK's nor ours: the wrapper will not have them. */
export function unknownMembers(session: object, known: readonly string[]): string[] {
  const names = new Set<string>();
  for (let at: object | null = session; at !== null && at !== Object.prototype;) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (KNOWN.has(name) || known.includes(name) || name.startsWith('_')) continue;
      // The value of an accessor is not asked for.
      if (typeof Object.getOwnPropertyDescriptor(at, name)?.value === 'function') names.add(name);
    }
    at = Object.getPrototypeOf(at) as object | null;
  }
  return [...names];
}
