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
function step(state: State, operation: Operation): State | undefined {
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

/** A call begins or ends. Neighbours in a list from which linearized calls are taken. */
interface Event {
  readonly call: number;
  readonly begins: boolean;
  previous: Event | undefined;
  next: Event | undefined;
}

/**
 * Whether the calls of one session can have happened one after the other, each at one moment between its beginning
 * and its end, with the results that they had: the search of Wing and Gong, with the memory of Lowe.
 *
 * @returns The call at which the search could go no further, `undefined` when there is an order.
 */
export function contradiction(calls: readonly Call[]): Call | undefined {
  const events = eventsOf(calls);
  const head: Event = { call: -1, begins: false, previous: undefined, next: undefined };
  const endOf = new Map<number, Event>();
  let last = head;
  for (const event of events) {
    if (!event.begins) endOf.set(event.call, event);
    event.previous = last;
    last.next = event;
    last = event;
  }
  const unlink = (event: Event): void => {
    if (event.previous !== undefined) event.previous.next = event.next;
    if (event.next !== undefined) event.next.previous = event.previous;
  };
  const link = (event: Event): void => {
    if (event.previous !== undefined) event.previous.next = event;
    if (event.next !== undefined) event.next.previous = event;
  };

  const done = new Set<number>();
  const seen = new Set<string>();
  const taken: { readonly event: Event; readonly state: State }[] = [];
  let state: State = { items: [], applied: [] };
  let furthest = -1;
  let event = head.next;
  while (head.next !== undefined) {
    if (event?.begins) {
      const call = calls[event.call] as Call;
      const next = step(state, call.operation);
      if (next !== undefined) {
        done.add(event.call);
        const key = `${window(event)} ${next.items.join()} ${next.applied.join()}`;
        if (!seen.has(key)) {
          seen.add(key);
          taken.push({ event, state });
          state = next;
          furthest = Math.max(furthest, event.call);
          unlink(endOf.get(event.call) as Event);
          unlink(event);
          event = head.next;
          continue;
        }
        done.delete(event.call);
      }
      event = event.next;
    } else {
      // A call ended that no order has placed: another choice is tried.
      const choice = taken.pop();
      if (choice === undefined) return calls[Math.min(furthest + 1, calls.length - 1)];
      state = choice.state;
      done.delete(choice.event.call);
      link(choice.event);
      link(endOf.get(choice.event.call) as Event);
      event = choice.event.next;
    }
  }
  return undefined;

  /** Which calls are placed: all before the first open one, and these of those that began before that one ended. */
  function window(taking: Event): string {
    let first = head.next;
    while (first !== undefined && (!first.begins || first === taking)) first = first.next;
    if (first === undefined) return 'all';
    const { ended } = calls[first.call] as Call;
    const beyond: number[] = [];
    for (let call = first.call + 1; call < calls.length && (calls[call] as Call).began <= ended; call++) {
      if (done.has(call)) beyond.push(call);
    }
    return `${first.call}:${beyond.join('.')}`;
  }
}

/** Calls are numbered by when they began, so `calls` must be sorted so. */
function eventsOf(calls: readonly Call[]): Event[] {
  return calls
    .flatMap(({ began, ended }, call) => [
      { call, begins: true, at: began, previous: undefined, next: undefined },
      { call, begins: false, at: ended, previous: undefined, next: undefined },
    ])
    .sort((a, b) => a.at - b.at || Number(b.begins) - Number(a.begins));
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
