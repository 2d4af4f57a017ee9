import {
  getCurrentTrace,
  MemorySession,
  setTraceProcessors,
  setTracingDisabled,
  withCustomSpan,
  withTrace,
  type Span,
  type SpanData,
  type TracingProcessor,
} from '@openai/agents';
import { trace, type Tracer, type TracerProvider } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  AggregationTemporality,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { context, metrics, SpanStatusCode } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StrongroomError } from '../../src/errors.ts';
import type { SessionLayer } from '../../src/layer.ts';
import { observe, type ObserveOptions } from '../../src/layers/observe.ts';
import { inAgentsSpan } from '../../src/layers/observe/agents-span.ts';
import { derivedId } from '../../src/derived-id.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { redact } from '../../src/layers/redact.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { handMadeCall, userMessage, warningsOf } from './hand-made-call.ts';

const spans = new InMemorySpanExporter();
let provider: TracerProvider;
let measured: InMemoryMetricExporter;
let meters: MeterProvider;

beforeEach(() => {
  spans.reset();
  provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  meters = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 3_600_000 })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterEach(async () => {
  await meters.shutdown();
  trace.disable();
  metrics.disable();
  context.disable();
});

const globally = (): void => {
  trace.setGlobalTracerProvider(provider);
  metrics.setGlobalMeterProvider(meters);
};

async function points(name: string): Promise<{ attributes: object; value: unknown }[]> {
  await meters.forceFlush();
  const all =
    measured
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? [];
  const found = all.find(({ descriptor }) => descriptor.name === name);
  return (found?.dataPoints ?? []).map(({ attributes, value }) => ({
    attributes,
    value: found?.dataPointType === DataPointType.HISTOGRAM ? (value as { count: number }).count : value,
  }));
}

const failing = (reason: unknown): SessionLayer => ({
  name: 'failing',
  around: async () => Promise.reject(reason),
});

describe('observe', () => {
  test('every call is a span with its operation, a hashed session id and item counts, and no content', async () => {
    globally();
    const session = wrapSession(new MemorySession({ sessionId: 'user-7' }), [observe()]);
    await session.addItems([userMessage('the secret'), userMessage('two')]);
    await session.getItems();
    const finished = spans.getFinishedSpans();
    expect(finished.map(({ name, attributes }) => [name, attributes])).toEqual([
      [
        'session addItems',
        {
          'strongroom.operation': 'addItems',
          'strongroom.session.type': 'MemorySession',
          'strongroom.session.kind': 'conversation',
          'gen_ai.conversation.id': expect.stringMatching(/^[\w-]{16}$/),
          'strongroom.items.in': 2,
          'strongroom.items.out': 2,
        },
      ],
      [
        'session getItems',
        {
          'strongroom.operation': 'getItems',
          'strongroom.session.type': 'MemorySession',
          'strongroom.session.kind': 'conversation',
          'gen_ai.conversation.id': finished[0]?.attributes['gen_ai.conversation.id'],
          'strongroom.items.out': 2,
        },
      ],
    ]);
    const everything = JSON.stringify(
      finished.map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
    );
    expect(everything).not.toContain('secret');
    expect(everything).not.toContain('user-7');
  });

  test.each([
    ['plain', 'user-7'],
    ['omit', undefined],
  ] as const)('with sessionId %s the span says %s', async (sessionId, expected) => {
    const tracer = provider.getTracer('test');
    const session = wrapSession(new MemorySession({ sessionId: 'user-7' }), [observe({ sessionId, tracer })]);
    await session.getItems();
    expect(spans.getFinishedSpans()[0]?.attributes['gen_ai.conversation.id']).toBe(expected);
  });

  test.each([
    [new StrongroomError('ERR_READ_ONLY', 'the secret'), 'ERR_READ_ONLY'],
    [new RangeError('the secret'), 'RangeError'],
    ['the secret', '_OTHER'],
  ])('a failure is rethrown unchanged and recorded by its name only: %#', async (error, name) => {
    globally();
    const session = wrapSession(new MemorySession(), [observe(), failing(error)]);
    await expect(session.getItems()).rejects.toBe(error);
    const [span] = spans.getFinishedSpans();
    expect(span?.attributes['error.type']).toBe(name);
    expect(span?.attributes).not.toHaveProperty('strongroom.items.out');
    expect(span?.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(span?.events).toEqual([]);
    expect(await points('strongroom.operation.duration')).toEqual([
      { attributes: { 'strongroom.operation': 'getItems', 'error.type': name }, value: 1 },
    ]);
  });

  test('calls are counted and timed, without the session id', async () => {
    // A layer that was made before the provider was registered works all the same.
    const layer = observe();
    globally();
    const session = wrapSession(new MemorySession(), [layer]);
    await session.addItems([userMessage('one'), userMessage('two')]);
    await session.getItems();
    await session.getItems(1);
    expect(await points('strongroom.operation.duration')).toEqual([
      { attributes: { 'strongroom.operation': 'addItems' }, value: 1 },
      { attributes: { 'strongroom.operation': 'getItems' }, value: 2 },
    ]);
    expect(await points('strongroom.items')).toEqual([
      { attributes: { 'strongroom.operation': 'addItems', 'strongroom.direction': 'in' }, value: 2 },
      { attributes: { 'strongroom.operation': 'addItems', 'strongroom.direction': 'out' }, value: 2 },
      { attributes: { 'strongroom.operation': 'getItems', 'strongroom.direction': 'out' }, value: 3 },
    ]);
  });

  test('spans of inner operations are children of its span', async () => {
    globally();
    const inside: SessionLayer = {
      name: 'inside',
      around: async (_call, next) => {
        provider.getTracer('driver').startSpan('SELECT').end();
        return next();
      },
    };
    await wrapSession(new MemorySession(), [observe(), inside]).getItems();
    const [child, parent] = spans.getFinishedSpans();
    expect([child?.name, parent?.name]).toEqual(['SELECT', 'session getItems']);
    expect(child?.parentSpanContext?.spanId).toBe(parent?.spanContext().spanId);
  });

  test('without a provider it does nothing', async () => {
    const session = wrapSession(new MemorySession(), [observe()]);
    await session.addItems([userMessage('one')]);
    expect(await session.getItems()).toHaveLength(1);
  });

  test('telemetry that fails fails no call, and is reported once', async () => {
    const tracer = {
      startActiveSpan: () => {
        throw new Error('the secret');
      },
    } as unknown as Tracer;
    const session = wrapSession(new MemorySession(), [observe({ tracer })]);
    const warnings = await warningsOf(async () => {
      await session.addItems([userMessage('one')]);
      expect(await session.getItems()).toHaveLength(1);
    });
    expect(warnings).toEqual([
      {
        code: 'STRONGROOM_OBSERVE',
        message: expect.stringMatching(/^observe: recording failed \(Error\)\./),
      },
    ]);
  });

  test('a tracer that fails after the call has begun does not run it twice', async () => {
    const real = provider.getTracer('test');
    const tracer = {
      startActiveSpan: (...args: Parameters<Tracer['startActiveSpan']>) => {
        real.startActiveSpan(...args);
        throw new Error('late');
      },
    } as unknown as Tracer;
    const session = wrapSession(new MemorySession(), [observe({ tracer })]);
    await session.addItems([userMessage('one')]);
    expect(await session.getItems()).toHaveLength(1);
  });

  test.each<[unknown, RegExp]>([
    [null, /observe: options must be an object/],
    [{ sessionId: true }, /observe: sessionId must be 'hash', 'plain' or 'omit', got a boolean/],
    [{ tracer: {} }, /observe: tracer must be an OpenTelemetry Tracer/],
    [{ meter: {} }, /observe: meter must be an OpenTelemetry Meter/],
    [{ exporter: {} }, /observe: unknown option "exporter"/],
    [{ agentsSpans: 'yes' }, /observe: agentsSpans must be true or false, got a string/],
    [{ slowLoad: true }, /observe: slowLoad must be a positive number of milliseconds or a duration/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => observe(options as ObserveOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});

describe('observe in the traces of the SDK', () => {
  let ended: Span<SpanData>[] = [];
  const processor = (onSpanStart: () => void = () => undefined): TracingProcessor => ({
    onTraceStart: async () => undefined,
    onTraceEnd: async () => undefined,
    onSpanStart: async () => onSpanStart(),
    onSpanEnd: async (span) => void ended.push(span),
    shutdown: async () => undefined,
    forceFlush: async () => undefined,
  });
  beforeEach(() => {
    ended = [];
    setTraceProcessors([processor()]);
    // In tests the SDK does not trace unless told to.
    setTracingDisabled(false);
  });
  afterEach(() => {
    setTracingDisabled(true);
    setTraceProcessors([]);
  });

  test('each call is a custom span, with a hashed session id, the type of the session and counts', async () => {
    const store = openSqlite(':memory:');
    const session = wrapStore(store, [observe()]).session('user-7');
    await withTrace('work', async () => {
      await session.addItems([userMessage('the secret'), userMessage('two')]);
      await session.getItems();
    });
    const shown = ended.map((span) => span.toJSON() as { span_data: object; error: unknown });
    expect(shown.map(({ span_data }) => span_data)).toEqual([
      {
        type: 'custom',
        name: 'session addItems',
        data: {
          'strongroom.operation': 'addItems',
          'strongroom.session.type': 'sqlite',
          'strongroom.session.kind': 'conversation',
          'gen_ai.conversation.id': expect.stringMatching(/^[\w-]{16}$/),
          'strongroom.items.in': 2,
          'strongroom.items.out': 2,
        },
      },
      expect.objectContaining({ name: 'session getItems' }),
    ]);
    expect(JSON.stringify(shown)).not.toMatch(/secret|user-7/);
    await store.close();
  });

  test.each([
    [new StrongroomError('ERR_READ_ONLY', 'the secret'), 'ERR_READ_ONLY'],
    [Object.assign(new RangeError('the secret'), { data: { secret: 'the secret' } }), 'RangeError'],
    ['the secret', '_OTHER'],
  ])('a failure is rethrown unchanged, and its span has its name only: %#', async (error, name) => {
    const session = wrapSession(new MemorySession(), [observe(), failing(error)]);
    await withTrace('work', async () => {
      await expect(session.getItems()).rejects.toBe(error);
    });
    expect(ended.map((span) => span.error)).toEqual([{ message: name }]);
    expect(JSON.stringify(ended.map((span) => span.toJSON()))).not.toContain('secret');
  });

  test('there is no span outside of a trace, nor with agentsSpans: false', async () => {
    await wrapSession(new MemorySession(), [observe()]).getItems();
    const session = wrapSession(new MemorySession(), [observe({ agentsSpans: false })]);
    await withTrace('work', () => session.getItems());
    expect(ended).toEqual([]);
  });

  type WithSpan = typeof withCustomSpan;
  const refuse = (): never => {
    throw new Error('the secret');
  };
  test.each<[string, (real: WithSpan) => WithSpan]>([
    ['before the call', () => refuse],
    ['after the call', (real) => async (work, options) => real(work, options).then(refuse)],
    ['without making the call', () => async () => undefined as never],
    [
      'by making the call twice',
      (real) => async (work, options) => {
        await real(work, options);
        return real(work, options);
      },
    ],
  ])('tracing that fails %s fails no call, and makes it once', async (_when, broken) => {
    const failures: unknown[] = [];
    let calls = 0;
    const sdk = { getCurrentTrace, withCustomSpan: broken(withCustomSpan) };
    const work = async (): Promise<number> => ++calls;
    const result = withTrace('work', () =>
      inAgentsSpan(sdk, handMadeCall(), { 'strongroom.operation': 'getItems' }, work, (error) =>
        failures.push(error),
      ),
    );
    expect(await result).toBe(1);
    expect(calls).toBe(1);
    expect(failures.length).toBeLessThan(2);
  });
});

describe('observe counts', () => {
  const total = async (name: string, by?: string): Promise<Record<string, number>> => {
    const found: Record<string, number> = {};
    for (const { attributes, value } of await points(`strongroom.${name}`)) {
      const key = String((attributes as Record<string, unknown>)[by ?? 'strongroom.operation']);
      found[key] = (found[key] ?? 0) + (value as number);
    }
    return found;
  };

  test('what the layers did, once, also with two of it in the stack', async () => {
    globally();
    const clock = fakeClock(Date.now());
    const store = openSqlite(':memory:', { clock });
    const keys = keyring({ current: await generateKey() });
    const sessions = wrapStore(store, [
      observe(),
      redact({ entities: ['EMAIL_ADDRESS', 'IP_ADDRESS'] }),
      expire({ after: '1h', clock }),
      cache({ maxItems: 100 }),
      encrypt({ keys }),
      observe(),
    ]);
    const session = sessions.session('user-7');
    await session.addItems([
      userMessage('from ada@example.com and bob@example.com'),
      userMessage('10.20.30.40'),
    ]);
    await session.getItems();
    await session.getItems();
    expect(await total('records.sealed')).toEqual({ addItems: 2 });
    expect(await total('records.opened')).toEqual({ getItems: 2 });
    expect(await total('cache.misses')).toEqual({ getItems: 1 });
    expect(await total('cache.hits')).toEqual({ getItems: 1 });
    expect(await total('redactions', 'strongroom.entity')).toEqual({ EMAIL_ADDRESS: 2, IP_ADDRESS: 1 });
    expect(await total('records.expired')).toEqual({});
    clock.advance(2 * 3_600_000);
    expect(await session.getItems()).toEqual([]);
    expect(await total('records.expired')).toEqual({ getItems: 2 });
    await sessions.purgeExpired();
    expect(await total('records.purged')).toEqual({ purgeExpired: 2 });
    await store.close();
  });

  test('failures by their reason', async () => {
    globally();
    const refused = wrapSession(new MemorySession(), [
      observe(),
      failing(new StrongroomError('ERR_ACCESS_DENIED', 'x')),
    ]);
    await expect(refused.getItems()).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    await expect(refused.popItem()).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    expect(await total('failures', 'error.type')).toEqual({ ERR_ACCESS_DENIED: 2 });
  });

  test('slow reads, and warns of them at most once a minute, with the shown id only', async () => {
    globally();
    let now = 0;
    const time = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const slow: SessionLayer = {
      name: 'slow',
      around: async (call, next) => {
        now += call.kind === 'getItems' ? 2_500 : 60_000;
        return next();
      },
    };
    const inner = new MemorySession({ sessionId: 'user-7' });
    const session = wrapSession(inner, [observe({ slowLoad: '2s' }), slow]);
    const never = wrapSession(inner, [observe({ slowLoad: false }), slow]);
    const quick = wrapSession(inner, [observe(), slow]);
    const warnings = await warningsOf(async () => {
      await session.getItems();
      await session.getItems();
      await never.getItems();
      await quick.getItems();
      await session.addItems([userMessage('the secret')]);
      await session.getItems();
    });
    time.mockRestore();
    expect(warnings).toEqual(
      [0, 1].map((items) => ({
        code: 'STRONGROOM_SLOW_LOAD',
        message: expect.stringMatching(
          new RegExp(
            `^observe: a read of session "[\\w-]{16}" took 2500 ms for ${items} items, longer than slowLoad\\.`,
          ),
        ),
      })),
    );
    expect(await total('slow_loads')).toEqual({ getItems: 3 });
  });

  test('the kind of a session that belongs to a conversation', async () => {
    globally();
    const store = openSqlite(':memory:');
    const id = derivedId({ kind: 'vault', of: 'user-7' });
    await wrapStore(store, [observe()]).session(id, { derived: true }).getItems();
    expect(spans.getFinishedSpans()[0]?.attributes).toMatchObject({
      'strongroom.session.type': 'sqlite',
      'strongroom.session.kind': 'vault',
    });
    await store.close();
  });
});
