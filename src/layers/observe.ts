import type * as telemetry from '@opentelemetry/api';
import type { Meter, Span, Tracer } from '@opentelemetry/api';
import { errorName } from '../error-name.ts';
import { isStrongroomError } from '../errors.ts';
import type { SessionCall, SessionLayer } from '../layer.ts';
import { loadModule } from '../load-module.ts';
import { loadSdk } from '../load-sdk.ts';
import { checkOptions, invalidOption, parseDuration, type Duration } from '../options.ts';
import { warn } from '../warning.ts';
import { inAgentsSpan } from './observe/agents-span.ts';
import { describeCall, shownId } from './observe/described.ts';
import { createInstruments, type Instruments } from './observe/instruments.ts';

/** Options of {@link observe}. */
export interface ObserveOptions {
  /**
   * How spans contain the session id. `'hash'`: 16 characters of its SHA-256, the same for the same id; a reader
   * who guesses an id can confirm the guess. `'plain'`: the id. `'omit'`: nothing. Metrics never carry it.
   *
   * @defaultValue 'hash'
   */
  readonly sessionId?: 'hash' | 'plain' | 'omit';
  /** @defaultValue the tracer `strongroom` of the global provider */
  readonly tracer?: Tracer;
  /** @defaultValue the meter `strongroom` of the global provider */
  readonly meter?: Meter;
  /**
   * Whether calls are also custom spans of the SDK's own tracing, inside its traces: `run()` makes one unless tracing is
   * disabled. The SDK exports its traces to OpenAI unless other processors are set.
   *
   * @defaultValue true
   */
  readonly agentsSpans?: boolean;
  /**
   * A read that takes longer is a process warning (`STRONGROOM_SLOW_LOAD`), at most once a minute, and counts in
   * `strongroom.slow_loads`. `false`: never.
   *
   * @defaultValue '3s'
   */
  readonly slowLoad?: Duration | false;
}

/** Between two warnings of slow reads, in milliseconds. */
const WARNING_PAUSE = 60_000;

/**
 * A span, a duration and counts for every call on a session, through OpenTelemetry and in the SDK's own traces, and
 * never content: no item, no error message. Needs the package `@opentelemetry/api`, and does nothing until a provider is
 * registered. It may stand anywhere in a stack: outermost it measures all of it, innermost the database alone; spans of
 * a database driver become children of its spans. With two in a stack, calls and items are counted by both, and the
 * work of the layers once.
 *
 * - Span `session <operation>`, kind internal: `strongroom.operation`, `gen_ai.conversation.id` (see `sessionId`),
 *   `strongroom.session.type` (`sqlite`, `MemorySession`, …), `strongroom.session.kind` (`conversation`, or what belongs
 *   to one: `branch`, `usage`, `vault`, …), `strongroom.items.in`, `strongroom.items.out`, `strongroom.served_from`, and
 *   after a failure `error.type`: a strongroom error's code, else the name of the error's class.
 * - The same as a custom span of the SDK (`withCustomSpan()`), inside a trace of the SDK only.
 * - Histogram `strongroom.operation.duration` in seconds, by `strongroom.operation` and `error.type`.
 * - Counters, by `strongroom.operation`: `strongroom.items` (also by `strongroom.direction`, `in` or `out`),
 *   `strongroom.failures` (by `error.type`), `strongroom.slow_loads`, `strongroom.cache.hits` and `strongroom.cache.misses`,
 *   `strongroom.records.opened`, `.sealed`, `.expired` (hidden by a read) and `.purged`, and `strongroom.redactions` (by
 *   `strongroom.entity`).
 *
 * It never fails a call: the first failure of its own is a process warning (`STRONGROOM_OBSERVE`). Without the package
 * every call fails with `ERR_UNSUPPORTED`, which says how to install it.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/ for `gen_ai.conversation.id`
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`; from calls `ERR_UNSUPPORTED` without `@opentelemetry/api`
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { wrapSession } from 'strongroom';
 * import { observe } from 'strongroom/observe';
 *
 * const session = wrapSession(new MemorySession(), [observe()]);
 * ```
 */
export function observe(options: ObserveOptions = {}): SessionLayer {
  const { sessionId, agentsSpans, slowLoad } = checkObserve(options);
  let api: Api | undefined;
  let sdk: Awaited<ReturnType<typeof loadSdk>> | undefined;
  let instruments: Instruments | undefined;
  let warned = false;
  let slowWarnedAt = Number.NEGATIVE_INFINITY;

  /** A failure of telemetry does not fail the call. */
  function failed(error: unknown): void {
    if (warned) return;
    warned = true;
    warn(
      'STRONGROOM_OBSERVE',
      `observe: recording failed (${errorName(error) ?? typeof error}). Calls go on without telemetry; further failures are not reported.`,
    );
  }

  function quietly(work: () => void): void {
    try {
      work();
    } catch (error) {
      failed(error);
    }
  }

  /** A missing package is a mistake and an error; a temporary failure to load it only loses telemetry. */
  async function load(): Promise<Api | undefined> {
    try {
      return (api = await loadApi());
    } catch (error) {
      if (isStrongroomError(error) && error.code === 'ERR_UNSUPPORTED') throw error;
      failed(error);
      return undefined;
    }
  }

  async function loadAgents(): Promise<typeof sdk> {
    try {
      return (sdk = await loadSdk());
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  function warnOfSlow(call: SessionCall, end: number, milliseconds: number): void {
    if (end - slowWarnedAt < WARNING_PAUSE) return;
    slowWarnedAt = end;
    const shown = shownId(call.sessionId, sessionId);
    const which = shown === undefined ? 'a session' : `session ${JSON.stringify(shown)}`;
    const items = call.result.items === undefined ? '' : ` for ${call.result.items} items`;
    warn(
      'STRONGROOM_SLOW_LOAD',
      `observe: a read of ${which} took ${Math.round(milliseconds)} ms${items}, longer than slowLoad. cache() makes repeated reads cheap, archiveHistory() and summarizeHistory() make histories shorter.`,
    );
  }

  function finish(call: SessionCall, span: Span | undefined, start: number, failure?: string): void {
    const end = performance.now();
    const milliseconds = end - start;
    const itemsOut = failure === undefined ? call.result.items : undefined;
    const isSlow = call.kind === 'getItems' && milliseconds > slowLoad;
    quietly(() => {
      if (itemsOut !== undefined) span?.setAttribute('strongroom.items.out', itemsOut);
      const { servedFrom } = call.result;
      if (servedFrom !== undefined) span?.setAttribute('strongroom.served_from', servedFrom);
      if (failure !== undefined) {
        span?.setAttribute('error.type', failure);
        if (api !== undefined) span?.setStatus({ code: api.SpanStatusCode.ERROR });
      }
      span?.end();
    });
    quietly(() => {
      // A meter of the API does not follow a provider that is registered later, so it is created late.
      const meter = options.meter ?? api?.metrics.getMeter('strongroom');
      if (meter === undefined) return;
      instruments ??= createInstruments(meter);
      instruments(call, { seconds: milliseconds / 1_000, itemsOut, failure, isSlow });
    });
    if (isSlow) warnOfSlow(call, end, milliseconds);
  }

  return {
    name: 'observe',
    async around(call, next) {
      const { SpanKind, trace } = api ?? (await load()) ?? {};
      const described = describeCall(call, sessionId);
      const agents = agentsSpans ? (sdk ?? (await loadAgents())) : undefined;
      const inside = agents === undefined ? next : () => inAgentsSpan(agents, call, described, next, failed);
      const start = performance.now();
      const measured = async <T>(span: Span | undefined, work: () => Promise<T>): Promise<T> => {
        try {
          const result = await work();
          finish(call, span, start);
          return result;
        } catch (error) {
          finish(call, span, start, errorName(error) ?? '_OTHER');
          throw error;
        }
      };
      let running: ReturnType<typeof next> | undefined;
      quietly(() => {
        if (SpanKind === undefined || trace === undefined) return;
        const spanOptions = { kind: SpanKind.INTERNAL, attributes: described };
        const tracer = options.tracer ?? trace.getTracer('strongroom');
        tracer.startActiveSpan(`session ${call.kind}`, spanOptions, (span) => {
          running = measured(span, inside);
        });
      });
      return running ?? measured(undefined, inside);
    },
  };
}

type Api = typeof telemetry;

function loadApi(): Promise<Api> {
  return loadModule(
    '@opentelemetry/api',
    () => import('@opentelemetry/api'),
    'observe() needs the package @opentelemetry/api, which is not installed. Install it: npm install @opentelemetry/api',
  );
}

interface Settings extends Required<Pick<ObserveOptions, 'sessionId' | 'agentsSpans'>> {
  /** Milliseconds, infinite for never. */
  readonly slowLoad: number;
}

function checkObserve(options: ObserveOptions): Settings {
  checkOptions('observe', options, ['sessionId', 'tracer', 'meter', 'agentsSpans', 'slowLoad']);
  const { sessionId = 'hash', agentsSpans = true, slowLoad = '3s' } = options;
  if (sessionId !== 'hash' && sessionId !== 'plain' && sessionId !== 'omit') {
    invalidOption('observe', 'sessionId', "'hash', 'plain' or 'omit'", sessionId);
  }
  if (typeof agentsSpans !== 'boolean') {
    invalidOption('observe', 'agentsSpans', 'true or false', agentsSpans);
  }
  if (options.tracer !== undefined && typeof options.tracer.startActiveSpan !== 'function') {
    invalidOption('observe', 'tracer', 'an OpenTelemetry Tracer', options.tracer);
  }
  if (options.meter !== undefined && typeof options.meter.createHistogram !== 'function') {
    invalidOption('observe', 'meter', 'an OpenTelemetry Meter', options.meter);
  }
  return {
    sessionId,
    agentsSpans,
    slowLoad: slowLoad === false ? Number.POSITIVE_INFINITY : parseDuration('observe', 'slowLoad', slowLoad),
  };
}
