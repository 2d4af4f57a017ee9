import { defined } from '../defined.ts';
import { errorName } from '../error-name.ts';
import type { CallKind, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import {
  checkOptions,
  dropPromise,
  invalidOption,
  parseCount,
  parseDuration,
  type Duration,
} from '../options.ts';
import { warn } from '../warning.ts';

/**
 * One record for each call on a session. It cannot contain content: the hook that makes it never sees an item.
 */
export interface AuditEvent {
  /** When the call began, in Unix milliseconds of the stack's clock. */
  readonly time: number;
  /** The session's id when the call began; empty for a call on a whole store. Hash it in the sink when ids name people. */
  readonly sessionId: string;
  /** Who called: the result of the `actor` option, else the `actor` that the caller of a function passed. */
  readonly actor?: string;
  /** The `purpose` that the caller of a function passed. */
  readonly purpose?: string;
  /** Which call. */
  readonly operation: CallKind;
  /** How many items the caller passed; absent when the call takes none. */
  readonly itemsIn?: number;
  /** How many items were returned or written; absent when the call failed. */
  readonly itemsOut?: number;
  /** Stable under retries: two events with one `operationId` are one operation tried twice. */
  readonly operationId?: string;
  readonly outcome: 'success' | 'failure';
  /** A read that `fallback()` served from its backup, or from nothing; absent when the session itself answered. */
  readonly servedFrom?: 'backup' | 'nothing';
  /** A strongroom error's code, else the name of the error's class. Never its message: that may hold content. */
  readonly error?: string;
  /** How long the call took, in milliseconds. */
  readonly durationMs: number;
}

/** Where audit events go. */
export type AuditSink =
  ((event: AuditEvent) => MaybePromise<void>) | { write(event: AuditEvent): MaybePromise<void> };

/** Options of {@link audit}. */
export interface AuditOptions {
  /**
   * Gets each event, frozen, when its call has ended. It may be asynchronous: the call does not wait for it, so a
   * slow sink can have several events in flight.
   */
  readonly sink: AuditSink;
  /**
   * Returns who calls, usually from `call.runContext?.context`. The event contains its result unchanged.
   *
   * @defaultValue no actor
   */
  readonly actor?: (call: SessionCall) => string | undefined;
  /**
   * How long an event waits for an asynchronous sink. Then it counts as lost, and later calls do not wait for it.
   *
   * @defaultValue '30s'
   */
  readonly timeout?: Duration;
  /**
   * How many events wait for the sink at most. While that many wait, further ones are lost: the sink does not get
   * them, so that a sink that hangs does not fill the memory. A positive whole number.
   *
   * @defaultValue 10,000
   */
  readonly maxInFlight?: number;
}

/** The result of {@link AuditLayer.flush}. */
export interface AuditFlush {
  /**
   * Events of this layer that its sink did not accept, since the layer was made: it failed, took longer than
   * `timeout`, or had `maxInFlight` others.
   */
  readonly lost: number;
}

/** The layer that {@link audit} makes. */
export interface AuditLayer extends SessionLayer {
  /**
   * Resolves when the sink has settled every event so far, or after `timeout`: await it before the process ends. Never rejects.
   */
  flush(): Promise<AuditFlush>;
}

/**
 * Reports every call on a session to a sink: who, which session, which operation, how many items, the outcome and
 * the duration, and never content. It may stand anywhere in a stack; outermost it sees the calls that other layers
 * refuse.
 *
 * A sink that throws, rejects or hangs never fails or delays a call. The first failure of a layer's sink is reported
 * as a process warning (`STRONGROOM_AUDIT`), and so is the first event that it does not settle in `timeout`, and the first
 * that finds `maxInFlight` others waiting. Such an event is lost to that sink, and counted by `flush()`; a sink that must not
 * lose any has to retry by itself.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when `sink` or `actor` is missing its function, or a bound
 * is invalid.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { audit, wrapSession } from 'strongroom';
 *
 * const session = wrapSession(new MemorySession(), [
 *   audit({
 *     sink: (event) => console.log(JSON.stringify(event)),
 *     actor: (call) => (call.runContext?.context as { userId?: string } | undefined)?.userId,
 *   }),
 * ]);
 * ```
 */
export function audit(options: AuditOptions): AuditLayer {
  checkOptions('audit', options, ['sink', 'actor', 'timeout', 'maxInFlight']);
  const { sink, actor, maxInFlight = 10_000 } = options;
  const timeout = Math.min(parseDuration('audit', 'timeout', options.timeout ?? '30s'), LONGEST_TIMER);
  parseCount('audit', 'maxInFlight', maxInFlight);
  const write = writerOf(sink);
  if (actor !== undefined && typeof actor !== 'function') {
    invalidOption('audit', 'actor', 'a function', actor);
  }

  /** Events that wait for the sink, each with the timer that ends its wait. */
  const inFlight = new Map<Promise<void>, Timer>();
  const warned = new Set<string>();
  let lost = 0;
  let flushing = 0;

  /** Once for each kind of problem. */
  function report(problem: string, text: string): void {
    if (warned.has(problem)) return;
    warned.add(problem);
    warn('STRONGROOM_AUDIT', `audit: ${text}; further failures are not reported.`);
  }

  function lose(problem: string, text: string): void {
    lost += 1;
    report(problem, `${text}. Events are being lost`);
  }

  const failed = (error: unknown): void => lose('sink', `the sink failed (${nameOf(error)})`);

  function emit(event: AuditEvent): void {
    if (inFlight.size >= maxInFlight) {
      lose('full', `the sink has not settled ${maxInFlight} events`);
      return;
    }
    try {
      const written: unknown = write(Object.freeze(event));
      if (isThenable(written)) waitFor(written);
    } catch (error) {
      failed(error);
    }
  }

  function waitFor(written: PromiseLike<unknown>): void {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const over = (problem?: () => void): void => {
      const timer = inFlight.get(ended);
      // The event was counted as lost before it settled.
      if (timer === undefined) return;
      clearTimeout(timer);
      inFlight.delete(ended);
      problem?.();
      end();
    };
    const late = (): void => lose('late', `the sink did not settle an event in ${timeout} ms`);
    const timer: Timer = setTimeout(() => over(late), timeout);
    // Only flush() waits for events.
    if (flushing === 0) timer.unref?.();
    inFlight.set(ended, timer);
    Promise.resolve(written).then(
      () => over(),
      (error: unknown) => over(() => failed(error)),
    );
  }

  function actorOf(call: SessionCall): string | undefined {
    if (actor === undefined) return call.actor;
    try {
      const name: unknown = actor(call);
      if (name === undefined || typeof name === 'string') return name ?? call.actor;
      dropPromise(name);
      throw new TypeError('not a string');
    } catch (error) {
      report('actor', `the actor failed (${nameOf(error)}). Events are written without an actor`);
      return call.actor;
    }
  }

  return {
    name: 'audit',
    wantsRunContext: true,
    async around(call, next) {
      const time = timeOf(call);
      const who = actorOf(call);
      const start = performance.now();
      const end = (rest: Ending): void =>
        emit(
          defined({
            time,
            sessionId: call.sessionId,
            actor: who,
            purpose: call.purpose,
            operation: call.kind,
            itemsIn: call.itemCount,
            operationId: call.operationId,
            ...rest,
            durationMs: performance.now() - start,
          }),
        );
      try {
        const result = await next();
        const { items, servedFrom } = call.result;
        end({ outcome: 'success', itemsOut: items, servedFrom });
        return result;
      } catch (error) {
        end({ outcome: 'failure', error: nameOf(error) });
        throw error;
      }
    },
    async flush() {
      flushing += 1;
      for (const timer of inFlight.values()) timer.ref?.();
      await Promise.all(inFlight.keys());
      flushing -= 1;
      return { lost };
    },
  };
}

/** The fields that are known only when a call has ended. */
interface Ending extends Pick<AuditEvent, 'outcome'> {
  readonly itemsOut?: AuditEvent['itemsOut'] | undefined;
  readonly error?: AuditEvent['error'] | undefined;
  readonly servedFrom?: AuditEvent['servedFrom'] | undefined;
}

/** The largest delay of `setTimeout`, in milliseconds; it fires at once for a larger one. */
const LONGEST_TIMER = 2_147_483_647;

/** In some runtimes a timer is not an object. */
type Timer = ReturnType<typeof setTimeout> & { unref?(): unknown; ref?(): unknown };

function writerOf(sink: AuditSink): (event: AuditEvent) => unknown {
  if (typeof sink === 'function') return sink;
  if (typeof sink === 'object' && sink !== null && typeof sink.write === 'function') {
    return (event) => sink.write(event);
  }
  return invalidOption('audit', 'sink', 'a function or an object with a method write', sink);
}

/** An unusable clock fails the call itself, with its own code; the event of this call still needs a time. */
function timeOf(call: SessionCall): number {
  try {
    return call.now();
  } catch {
    return Date.now();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

function nameOf(error: unknown): string {
  return errorName(error) ?? (error instanceof Error ? 'Error' : typeof error);
}
