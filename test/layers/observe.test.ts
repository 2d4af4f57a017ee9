import { MemorySession } from '@openai/agents';
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
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StrongroomError } from '../../src/errors.ts';
import type { SessionLayer } from '../../src/layer.ts';
import { observe, type ObserveOptions } from '../../src/layers/observe.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { userMessage, warningsOf } from './hand-made-call.ts';

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
          'gen_ai.conversation.id': expect.stringMatching(/^[\w-]{16}$/),
          'strongroom.items.in': 2,
          'strongroom.items.out': 2,
        },
      ],
      [
        'session getItems',
        {
          'strongroom.operation': 'getItems',
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
  ])('bad options are refused: %#', (options, message) => {
    expect(() => observe(options as ObserveOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});
