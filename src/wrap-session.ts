import type { Session } from '@openai/agents';
import { createEngine, type Engine } from './engine/engine.ts';
import { brandOf, innerSession } from './engine/inner.ts';
import { describeLayer, isDataLayer } from './engine/layer-kinds.ts';
import { MEMBERS, unknownMembers, type MemberContext, type SessionMember } from './engine/members.ts';
import { checkOrder } from './engine/order.ts';
import type { ReplacePrefixArgs } from './engine/prefix.ts';
import { buildStack, flattenLayers } from './engine/stack.ts';
import type { createStoreMembers } from './engine/store-members.ts';
import { wrappersIn } from './engine/wrappers.ts';
import { StrongroomError } from './errors.ts';
import type { Layers, SessionLayer } from './layer.ts';
import { checkOptions, parseCount } from './options.ts';
import {
  COPY,
  type CopyBeginning,
  DERIVE,
  describedLayers,
  LAYERS,
  PAGES,
  type Pages,
  type Derive,
  deriveOf,
  STORE_MEMBERS,
  STORE_OF,
} from './session-contract.ts';
import { warn } from './warning.ts';

/** Options of {@link wrapSession}. */
export interface WrapSessionOptions {
  /**
   * Largest item in bytes of its JSON; a larger one is refused with `ERR_INVALID_ITEM` before anything is stored.
   * Stacks without a layer that sees items do not check it. @defaultValue 33_554_432 (32 MiB)
   */
  readonly maxItemBytes?: number;
}

type Always =
  'replaceHistoryWithCompaction' | 'applyHistoryTransaction' | 'preserveReasoningItemIdsForPersistence';
type Sometimes =
  | 'applyHistoryMutations'
  | 'prepareHistoryItemForModelInput'
  | 'runCompaction'
  | 'getItemsWithCompactionOwnership'
  | 'addItemsWithCompactionOwnership';
type Keys<S, K> = Extract<keyof S, K>;

/**
 * A wrapped session. It has the optional members of `S` that every stack supports, the conditional ones as optional
 * (the layers decide which of them exist), and the SDK's brand. Members of `S` that the SDK does not know are
 * omitted: one of them could bypass the layers.
 */
export type Wrapped<S extends Session> = Session &
  Pick<S, Keys<S, Always | symbol>> &
  Partial<Pick<S, Keys<S, Sometimes>>> &
  (S extends { replacePrefix: unknown } ? PrefixReplacing : unknown) & {
    readonly acceptsRunContext?: true;
    prepareHistoryItemsForPersistenceComparison?: NonNullable<
      Session['prepareHistoryItemsForPersistenceComparison']
    >;
  };

/** By symbol: the ports of our sessions are not part of the type `Session`. The argument may be anything. */
function storeOf(wrapper: Session): unknown {
  return (wrapper as unknown as Record<symbol, unknown> | undefined)?.[STORE_OF];
}

interface Wrapping {
  readonly inner: Session;
  readonly layers: readonly SessionLayer[];
  readonly maxItemBytes: number;
  readonly engine: Engine;
}

const wrappings = new WeakMap<Session, Wrapping>();
const warned = new Set<string>();

const DEFAULT_MAX_ITEM_BYTES = 32 * 1_024 * 1_024;

/**
 * Wraps a session of the OpenAI Agents SDK in layers, outermost first: in the order in which data travels from `run()`
 * to the store. A wrapped session can be wrapped again; both lists become one stack around the innermost session.
 * The same session and the same layers give the same object as long as it is referenced.
 *
 * @param session - Any `Session`: `MemorySession`, a store's `session(id)`, one of your own.
 * @param layers - The results of {@link encrypt}, {@link expire}, {@link redact}, {@link cache}, {@link audit} and
 * others. Lists nest.
 * @returns A session with the members that `session` has and the stack supports, and no others.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when `session` is not a session or a layer is not a layer;
 * `ERR_LAYER_ORDER` when the order cannot work; the message gives a right order.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { audit, encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 *
 * const keys = keyring({ current: await generateKey() });
 * const session = wrapSession(new MemorySession(), [audit({ sink: console.log }), encrypt({ keys })]);
 * await session.addItems([{ role: 'user', content: 'Hello' }]);
 * ```
 */
export function wrapSession<S extends Session>(
  session: S,
  layers: Layers,
  options: WrapSessionOptions = {},
): Wrapped<S> {
  checkOptions('wrapSession', options, ['maxItemBytes']);
  const flat = flattenLayers(layers);
  const below = typeof session === 'object' && session !== null ? wrappings.get(session) : undefined;
  const innermost: Session = below?.inner ?? session;
  const all = [...flat, ...(below?.layers ?? [])];
  const maxItemBytes =
    options.maxItemBytes === undefined
      ? (below?.maxItemBytes ?? DEFAULT_MAX_ITEM_BYTES)
      : parseCount('wrapSession', 'maxItemBytes', options.maxItemBytes);

  const inner = innerSession(innermost);
  const wrappers = wrappersIn(all, maxItemBytes);
  const existing = wrappers.get(innermost)?.deref();
  if (existing !== undefined) return existing as Wrapped<S>;

  const described = all.map(describeLayer);
  // Of a wrapper that another copy of this package made.
  const foreign = describedLayers(innermost);
  checkOrder(described, foreign);
  const stack = buildStack(all);
  // By name: optional members of the SDK are not part of the type `Session`.
  const has = (member: SessionMember): boolean =>
    typeof (innermost as unknown as Record<string, unknown>)[member] === 'function';
  refuseDataLayersOverCompaction(has('runCompaction'), all);
  warnOfUnknownMembers(innermost);

  const engine = createEngine(inner, stack, maxItemBytes, (other) =>
    inner.dekStore !== undefined && storeOf(other) === inner.dekStore ? engineOf(other)?.rare() : undefined,
  );
  const wrapper = buildMembers({ inner, stack, engine, has });
  Object.assign(wrapper, inner.ledger?.membersOf(wrapper));
  const brand = brandOf(innermost);
  if (brand !== undefined) wrapper[brand.symbol] = brand.value;
  if (inner.dekStore !== undefined) Object.defineProperty(wrapper, STORE_OF, { value: inner.dekStore });
  const pages: Pages = {
    read: (options, find) => engine.rare().page(options, find),
    version: inner.version,
    append: async (items, headers) => engine.addItems(items, undefined, {}, headers),
  };
  Object.defineProperty(wrapper, PAGES, { value: pages });
  const deriving = deriveOf(innermost);
  if (deriving !== undefined) {
    const derive: Derive = {
      ...deriving,
      open: (id) => wrapSession(deriving.open(id), all, { maxItemBytes }),
    };
    Object.defineProperty(wrapper, DERIVE, { value: derive });
  }
  const ofStore = (innermost as { readonly [STORE_MEMBERS]?: typeof createStoreMembers })[STORE_MEMBERS];
  if (ofStore !== undefined) {
    wrapper['replacePrefix'] = (args: ReplacePrefixArgs) => engine.rare().using(ofStore).replacePrefix(args);
    const copy: CopyBeginning = (plan) => engine.rare().using(ofStore).copy(plan);
    Object.defineProperty(wrapper, COPY, { value: copy });
  }
  Object.defineProperty(wrapper, LAYERS, { value: Object.freeze([...described, ...foreign]) });

  // The members table built it: each member exists exactly when the stack supports it.
  const result = wrapper as unknown as Session;
  wrappings.set(result, { inner: innermost, layers: all, maxItemBytes, engine });
  wrappers.set(innermost, new WeakRef(result));
  return result as Wrapped<S>;
}

/** The engine behind a wrapper made by this copy of the package. */
export function engineOf(session: Session): Engine | undefined {
  return wrappings.get(session)?.engine;
}

/** The layers of a wrapper made by this copy of the package, outermost first. */
export function layersOf(session: Session): readonly SessionLayer[] {
  return wrappings.get(session)?.layers ?? [];
}

/** The innermost session of a wrapper, or the session itself. */
export function innermostOf(session: Session): Session {
  return wrappings.get(session)?.inner ?? session;
}

function buildMembers(context: MemberContext): Record<string | symbol, unknown> {
  const wrapper: Record<string | symbol, unknown> = {};
  for (const [name, row] of Object.entries(MEMBERS)) {
    const member: unknown = row(context);
    if (member !== undefined) wrapper[name] = member;
  }
  return wrapper;
}

function refuseDataLayersOverCompaction(compacts: boolean, layers: readonly SessionLayer[]): void {
  const layer = compacts ? layers.find(isDataLayer) : undefined;
  if (layer === undefined) return;
  throw new StrongroomError(
    'ERR_LAYER_ORDER',
    `${layer.name} cannot be above a session that compacts itself: the compaction would bypass it. Put the compaction session outside: new OpenAIResponsesCompactionSession({ underlyingSession: wrapSession(session, layers) }).`,
  );
}

/** The members of our stores' sessions beyond the SDK, as the wrapper has them. */
export interface PrefixReplacing {
  replacePrefix(args: ReplacePrefixArgs): Promise<void>;
}

/** Members of our own stores' sessions. */
const OURS: readonly string[] = ['replacePrefix'];

function warnOfUnknownMembers(session: Session): void {
  const names = unknownMembers(session, OURS).filter((name) => !warned.has(name));
  if (names.length === 0) return;
  for (const name of names) warned.add(name);
  warn(
    'STRONGROOM_UNKNOWN_MEMBER',
    `strongroom does not know the session member ${names.join(', ')}, so the wrapped session does not have it. If you need it, call it on the inner session: that call bypasses the layers.`,
  );
}
