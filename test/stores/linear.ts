/** What was done to one session. Items are named by texts that occur once. */
export type Operation =
  | { readonly kind: 'add'; readonly items: readonly string[] }
  | { readonly kind: 'pop'; readonly popped: string | null }
  | { readonly kind: 'read'; readonly limit?: number; readonly items: readonly string[] }
  /** A transaction that appends. */
  | { readonly kind: 'append'; readonly id: string; readonly items: readonly string[] }
  /** A transaction that replaces the last items, if they are what it expects. */
  | {
      readonly kind: 'replace';
      readonly id: string;
      readonly expected: readonly string[];
      readonly items: readonly string[];
      readonly conflict: boolean;
    }
  | { readonly kind: 'compact'; readonly items: readonly string[] }
  | { readonly kind: 'clear' };

/** One call as its caller saw it. Times are those of a clock that all processes of the machine share. */
export interface Call {
  readonly session: string;
  readonly began: number;
  readonly ended: number;
  readonly operation: Operation;
}

/** A session as `MemorySession` of the SDK would have it. */
interface State {
  readonly items: readonly string[];
  /** The operations that were applied since the last clear. */
  readonly applied: readonly string[];
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, index) => text === b[index]);

/** The state after the operation, `undefined` when it cannot have ended so in this state. */
function after(state: State, operation: Operation): State | undefined {
  const { items, applied } = state;
  switch (operation.kind) {
    case 'add':
      return { items: [...items, ...operation.items], applied };
    case 'pop':
      return (items.at(-1) ?? null) === operation.popped ? { items: items.slice(0, -1), applied } : undefined;
    case 'read': {
      const { limit = items.length } = operation;
      return same(items.slice(Math.max(items.length - limit, 0)), operation.items) ? state : undefined;
    }
    case 'append':
      if (applied.includes(operation.id)) return state;
      return { items: [...items, ...operation.items], applied: [...applied, operation.id] };
    case 'replace': {
      if (applied.includes(operation.id)) return operation.conflict ? undefined : state;
      const start = items.length - operation.expected.length;
      const matches = start >= 0 && same(items.slice(start), operation.expected);
      if (matches === operation.conflict) return undefined;
      if (operation.conflict) return state;
      return { items: [...items.slice(0, start), ...operation.items], applied: [...applied, operation.id] };
    }
    case 'compact':
      return { items: operation.items, applied };
    case 'clear':
      break;
  }
  return { items: [], applied: [] };
}

/**
 * What stands before each item that was ever read, `''` for the first one. It stands there for as long as the item is in
 * the session, because only the end of a list changes, or all of it. Unknown where an item may have come twice: by a
 * transaction that was repeated, and the first one forgotten by a clear.
 */
function predecessors(calls: readonly Call[]): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  for (const { operation } of calls) {
    if (operation.kind !== 'read') continue;
    const { items, limit = Infinity } = operation;
    for (const [index, item] of items.entries()) {
      if (index > 0) known.set(item, items[index - 1] as string);
      else if (items.length < limit) known.set(item, '');
    }
  }
  const once = new Set<string>();
  for (const { operation } of calls) {
    if (operation.kind !== 'append') continue;
    if (once.has(operation.id)) for (const item of operation.items) known.delete(item);
    once.add(operation.id);
  }
  return known;
}

/** Many times what any of the recorded histories needed: at most three a call. */
const mostStates = (calls: number): number => Math.max(100_000, 20 * calls);

/** A state that was reached, and what can have happened next. */
interface Step {
  readonly state: State;
  /** The call that led here. */
  readonly call: number;
  /** All calls that began before this one are placed. */
  readonly first: number;
  readonly candidates: readonly number[];
  tried: number;
}

/**
 * Whether the calls of one session can have happened one after the other, each at one moment between its beginning
 * and its end, with the results that they had: the search of Wing and Gong, with the memory of Lowe.
 *
 * Whoever has an order finds it almost at once; without one the search would go through all that are thinkable, so it
 * ends after so many states.
 *
 * @param calls Sorted by when they began.
 * @returns A call at which the search could go no further, `undefined` when there is an order.
 * @throws When the search ended before it knew: that is no contradiction, and must not be reported as one.
 */
export function contradiction(calls: readonly Call[]): Call | undefined {
  const before = predecessors(calls);
  const placed = calls.map(() => false);
  const seen = new Set<string>();
  const began = (call: number): number => (calls[call] as Call).began;
  const ended = (call: number): number => (calls[call] as Call).ended;

  /** Whether no read says that the items came elsewhere: else that would be found out much later, if at all in time. */
  function fits(from: State, to: State, operation: Operation): boolean {
    if (from === to || !('items' in operation) || operation.kind === 'read') return true;
    const [first = ''] = operation.items;
    const actual = to.items.at(-operation.items.length - 1) ?? '';
    return (before.get(first) ?? actual) === actual;
  }

  /** What can be next began before any open call ended. A call is answered soon after it was carried out: that order first. */
  function look(state: State, call: number, from: number): Step {
    let first = from;
    while (placed[first]) first++;
    let limit = Infinity;
    const open: number[] = [];
    for (let other = first; other < calls.length && began(other) <= limit; other++) {
      if (placed[other]) continue;
      limit = Math.min(limit, ended(other));
      open.push(other);
    }
    const candidates = open.filter((other) => began(other) <= limit).sort((a, b) => ended(a) - ended(b));
    return { state, call, first, candidates, tried: 0 };
  }

  /** Which calls are placed: all before the first open one, and of those that may come before it, all that are not open. */
  const key = ({ state, first, candidates }: Step): string =>
    `${first}:${candidates.toSorted((a, b) => a - b).join('.')} ${state.items.join()} ${state.applied.join()}`;

  const most = mostStates(calls.length);
  const path = [look({ items: [], applied: [] }, -1, 0)];
  let deepest: { readonly length: number; readonly call: number } = { length: 0, call: 0 };
  for (let step = path.at(-1); step !== undefined && seen.size < most; step = path.at(-1)) {
    if (step.candidates.length === 0) return undefined;
    const call = step.candidates[step.tried++];
    if (call === undefined) {
      if (path.length > deepest.length) deepest = { length: path.length, call: step.candidates[0] as number };
      path.pop();
      placed[step.call] = false;
      continue;
    }
    const { operation } = calls[call] as Call;
    const state = after(step.state, operation);
    if (state === undefined || !fits(step.state, state, operation)) continue;
    placed[call] = true;
    const next = look(state, call, step.first);
    if (seen.has(key(next))) {
      placed[call] = false;
      continue;
    }
    seen.add(key(next));
    path.push(next);
  }
  if (seen.size >= most) {
    throw new Error(
      `No order of ${calls.length} calls was found in ${most} states: neither shown nor refuted.`,
    );
  }
  return calls[deepest.call];
}

/** The calls by session, sorted by when they began. */
export function bySession(calls: readonly Call[]): ReadonlyMap<string, readonly Call[]> {
  const sessions = new Map<string, Call[]>();
  for (const call of calls.toSorted((a, b) => a.began - b.began)) {
    const known = sessions.get(call.session);
    if (known === undefined) sessions.set(call.session, [call]);
    else known.push(call);
  }
  return sessions;
}
