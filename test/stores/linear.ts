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
export interface State {
  readonly items: readonly string[];
  /** The operations that were applied since the last clear. */
  readonly applied: readonly string[];
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, index) => text === b[index]);

/** The state after the operation, `undefined` when it cannot have ended so in this state. */
export function after(state: State, operation: Operation): State | undefined {
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

/** What the results of all calls say of an item, whatever the order of the calls was. */
interface Evidence {
  /**
   * What stands before each item that was ever read, `''` for the first one. It stands there for as long as the item is in
   * the session, because only the end of a list changes, or all of it.
   */
  readonly before: ReadonlyMap<string, string>;
  /** Items that may have come twice, by a transaction that was repeated: nothing is known of them. */
  readonly twice: ReadonlySet<string>;
  /** Operations that were repeated. */
  readonly repeated: ReadonlySet<string>;
}

function evidenceOf(calls: readonly Call[]): Evidence {
  const before = new Map<string, string>();
  const once = new Set<string>();
  const repeated = new Set<string>();
  const twice = new Set<string>();
  for (const { operation } of calls) {
    if (operation.kind === 'read') {
      const { items, limit = Infinity } = operation;
      for (const [index, item] of items.entries()) {
        if (index > 0) before.set(item, items[index - 1] as string);
        else if (items.length < limit) before.set(item, '');
      }
    } else if (operation.kind === 'append') {
      if (once.has(operation.id)) {
        repeated.add(operation.id);
        for (const item of operation.items) twice.add(item);
      }
      once.add(operation.id);
    }
  }
  for (const item of twice) before.delete(item);
  return { before, twice, repeated };
}

/** The items of which the result of the operation tells: they were there just before it. */
function seenBy(operation: Operation): readonly string[] {
  switch (operation.kind) {
    case 'read':
      return operation.items;
    case 'pop':
      return operation.popped === null ? [] : [operation.popped];
    case 'replace':
      return operation.conflict ? [] : operation.expected;
    default:
      return [];
  }
}

/** An item that no result tells of is like any other such item: orders that differ in those alone are one. */
function withoutUnseen(calls: readonly Call[]): readonly Call[] {
  const seen = new Set<string>();
  for (const { operation } of calls) {
    for (const item of seenBy(operation)) seen.add(item);
    if (operation.kind === 'replace') for (const item of operation.expected) seen.add(item);
  }
  return calls.map((call) => {
    const { operation } = call;
    if (!('items' in operation) || operation.kind === 'read') return call;
    const items = operation.items.map((item) => (seen.has(item) ? item : UNSEEN));
    return { ...call, operation: { ...operation, items } };
  });
}

const UNSEEN = '*';

/** Many times what histories of sixteen clients that all wait for one session need: see the test. */
const mostStates = (calls: number): number => Math.max(300_000, 20 * calls);

/** A state that was reached, and what can have happened next. */
interface Step {
  readonly state: State;
  /** The call that led here. */
  readonly call: number;
  /** All calls that began before this one are placed. */
  readonly first: number;
  readonly candidates: readonly number[];
  /** The candidates that are tried, in this order. */
  readonly order: readonly number[];
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
  const history = withoutUnseen(calls);
  const { before, twice, repeated } = evidenceOf(history);
  const placed = history.map(() => false);
  /** How many calls that are not placed yet must find the item. */
  const awaited = new Map<string, number>();
  const seen = new Set<string>();
  const operationOf = (call: number): Operation => (history[call] as Call).operation;
  const began = (call: number): number => (history[call] as Call).began;
  const ended = (call: number): number => (history[call] as Call).ended;

  function place(call: number, isPlaced: boolean): void {
    placed[call] = isPlaced;
    for (const item of seenBy(operationOf(call))) {
      awaited.set(item, (awaited.get(item) ?? 0) + (isPlaced ? -1 : 1));
    }
  }
  for (const call of history.keys()) place(call, false);

  /**
   * Whether no other result says that the items came elsewhere, or that what the operation removed was there later: else that
   * would be found out much later, if at all in time.
   */
  function fits(from: State, to: State, call: number): boolean {
    if (from === to) return true;
    const operation = operationOf(call);
    if ('items' in operation && operation.kind !== 'read') {
      const [first = ''] = operation.items;
      const actual = to.items.at(-operation.items.length - 1) ?? '';
      if ((before.get(first) ?? actual) !== actual) return false;
    }
    const own = seenBy(operation);
    let common = 0;
    while (common < from.items.length && from.items[common] === to.items[common]) common++;
    return from.items.slice(common).every((item) => {
      const others = (awaited.get(item) ?? 0) - (own.includes(item) ? 1 : 0);
      return others <= 0 || twice.has(item);
    });
  }

  /** Whether nothing can be lost by placing the call here: it leaves the state as it is, and would do so later, too. */
  function isFree(state: State, call: number): boolean {
    const { kind } = operationOf(call);
    if (kind === 'append') return false;
    const next = after(state, operationOf(call));
    return next === state || (kind === 'pop' && next !== undefined && state.items.length === 0);
  }

  /** What can be next began before any open call ended. A call is answered soon after it was carried out: that order first. */
  function look(state: State, call: number, from: number): Step {
    let first = from;
    while (placed[first]) first++;
    let limit = Infinity;
    const open: number[] = [];
    for (let other = first; other < history.length && began(other) <= limit; other++) {
      if (placed[other]) continue;
      limit = Math.min(limit, ended(other));
      open.push(other);
    }
    const candidates = open.filter((other) => began(other) <= limit).sort((a, b) => ended(a) - ended(b));
    const free = candidates.find((other) => isFree(state, other));
    return { state, call, first, candidates, order: free === undefined ? candidates : [free], tried: 0 };
  }

  /** Which calls are placed: all before the first open one, and of those that may come before it, all that are not open. */
  function key({ state, first, candidates }: Step): string {
    // Of what was applied only that counts which may come again.
    const applied = state.applied.filter((id) => repeated.has(id)).sort((a, b) => a.localeCompare(b));
    return `${first}:${candidates.toSorted((a, b) => a - b).join('.')} ${state.items.join()} ${applied.join()}`;
  }

  const most = mostStates(history.length);
  const path = [look({ items: [], applied: [] }, -1, 0)];
  let deepest: { readonly length: number; readonly call: number } = { length: 0, call: 0 };
  for (let step = path.at(-1); step !== undefined && seen.size < most; step = path.at(-1)) {
    if (step.candidates.length === 0) return undefined;
    const call = step.order[step.tried++];
    if (call === undefined) {
      if (path.length > deepest.length) deepest = { length: path.length, call: step.candidates[0] as number };
      path.pop();
      if (step.call >= 0) place(step.call, false);
      continue;
    }
    const state = after(step.state, operationOf(call));
    if (state === undefined || !fits(step.state, state, call)) continue;
    place(call, true);
    const next = look(state, call, step.first);
    if (seen.has(key(next))) {
      place(call, false);
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
