import type * as telemetry from '@opentelemetry/api';
import type { Attributes, Meter, Span, Tracer } from '@opentelemetry/api';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256 } from '../crypto/hash.ts';
import { defined } from '../defined.ts';
import { errorName } from '../error-name.ts';
import { isStrongroomError } from '../errors.ts';
import type { SessionCall, SessionLayer } from '../layer.ts';
import { loadModule } from '../load-module.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { warn } from '../warning.ts';

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
}

const HASH_CHARACTERS = 16;

/**
 * A span, a duration and item counts for every call on a session, through OpenTelemetry, and never content: no item,
 * no error message. Needs the package `@opentelemetry/api`, and does nothing until a provider is registered. It may
 * stand anywhere in a stack: outermost it measures all of it, innermost the database alone; spans of a database
 * driver become children of its spans.
 *
 * - Span `session <operation>`, kind internal: `strongroom.operation`, `gen_ai.conversation.id` (see `sessionId`),
 *   `strongroom.items.in`, `strongroom.items.out`, and after a failure `error.type`: a strongroom error's code, else
 *   the name of the error's class.
 * - Histogram `strongroom.operation.duration` in seconds, by `strongroom.operation` and `error.type`.
 * - Counter `strongroom.items`, by `strongroom.operation` and `strongroom.direction` (`in`, `out`).
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
  checkOptions('observe', options, ['sessionId', 'tracer', 'meter']);
  const { sessionId = 'hash' } = options;
  if (sessionId !== 'hash' && sessionId !== 'plain' && sessionId !== 'omit') {
    invalidOption('observe', 'sessionId', "'hash', 'plain' or 'omit'", sessionId);
  }
  if (options.tracer !== undefined && typeof options.tracer.startActiveSpan !== 'function') {
    invalidOption('observe', 'tracer', 'an OpenTelemetry Tracer', options.tracer);
  }
  if (options.meter !== undefined && typeof options.meter.createHistogram !== 'function') {
    invalidOption('observe', 'meter', 'an OpenTelemetry Meter', options.meter);
  }
  let api: Api | undefined;
  let instruments: Instruments | undefined;
  let warned = false;

  /** A failure of telemetry does not fail the call. */
  function quietly(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (warned) return;
      warned = true;
      warn(
        'STRONGROOM_OBSERVE',
        `observe: recording failed (${errorName(error) ?? typeof error}). Calls go on without telemetry; further failures are not reported.`,
      );
    }
  }

  function spanAttributes(call: SessionCall): Attributes {
    return defined({
      'strongroom.operation': call.kind,
      'gen_ai.conversation.id':
        sessionId === 'omit' ? undefined : sessionId === 'plain' ? call.sessionId : hash(call.sessionId),
      'strongroom.items.in': call.itemCount,
    });
  }

  /** A missing package is a mistake and an error; a temporary failure to load it only loses telemetry. */
  async function load(): Promise<Api | undefined> {
    try {
      return (api = await loadApi());
    } catch (error) {
      if (isStrongroomError(error) && error.code === 'ERR_UNSUPPORTED') throw error;
      quietly(() => {
        throw error;
      });
      return undefined;
    }
  }

  function finish(call: SessionCall, span: Span | undefined, start: number, failure?: string): void {
    const seconds = (performance.now() - start) / 1_000;
    const operation = { 'strongroom.operation': call.kind };
    const itemsOut = failure === undefined ? call.result.items : undefined;
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
      instruments ??= instrumentsOf(meter);
      const { duration, items } = instruments;
      duration.record(seconds, defined({ ...operation, 'error.type': failure }));
      if (call.itemCount !== undefined) {
        items.add(call.itemCount, { ...operation, 'strongroom.direction': 'in' });
      }
      if (itemsOut !== undefined) items.add(itemsOut, { ...operation, 'strongroom.direction': 'out' });
    });
  }

  return {
    name: 'observe',
    async around(call, next) {
      const { SpanKind, trace } = api ?? (await load()) ?? {};
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
        const spanOptions = { kind: SpanKind.INTERNAL, attributes: spanAttributes(call) };
        const tracer = options.tracer ?? trace.getTracer('strongroom');
        tracer.startActiveSpan(`session ${call.kind}`, spanOptions, (span) => {
          running = measured(span, next);
        });
      });
      return running ?? measured(undefined, next);
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

interface Instruments {
  readonly duration: ReturnType<Meter['createHistogram']>;
  readonly items: ReturnType<Meter['createCounter']>;
}

function instrumentsOf(meter: Meter): Instruments {
  return {
    duration: meter.createHistogram('strongroom.operation.duration', {
      description: 'Duration of calls on a session.',
      unit: 's',
      // The boundaries that the semantic conventions give for database operations.
      advice: { explicitBucketBoundaries: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] },
    }),
    items: meter.createCounter('strongroom.items', {
      description: 'Items handed to a session and given back by it.',
      unit: '{item}',
    }),
  };
}

function hash(sessionId: string): string {
  return toBase64url(sha256(utf8(sessionId))).slice(0, HASH_CHARACTERS);
}
