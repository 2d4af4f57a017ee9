import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import {
  Agent,
  MemorySession,
  Runner,
  setTraceProcessors,
  tool,
  type Session,
  type Span,
  type SpanData,
  type Trace,
} from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { context, metrics, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { bulkhead, circuitBreaker, ConsecutiveBreaker, handleWhen, retry, wrap } from 'cockatiel';
import type { JWK } from 'jose';
import { z } from 'zod';
import { derivedId } from '../../src/history/index.ts';
import {
  attribute,
  audit,
  authorize,
  cache,
  encrypt,
  exclusive,
  expire,
  fallback,
  generateKey,
  keyring,
  minimize,
  redact,
  wrapSession,
  wrapStore,
  type Store,
} from '../../src/index.ts';
import { observe } from '../../src/layers/observe.ts';
import { isTemporary, resilient } from '../../src/layers/resilient.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import type { Said } from './observed.ts';

// A process of its own that runs an agent with every layer on over PostgreSQL, and exports all that it observes to a collector:
// OpenTelemetry by OTLP, the SDK's own traces, audit events and errors. Its output is its log.
const [collector = '', url = '', schema = '', key = '', said = ''] = process.argv.slice(2);
const { id, user, argument, result, answer, broken, email } = JSON.parse(said) as Said;

const send = async (path: string, value: unknown): Promise<void> => {
  await fetch(`${collector}/${path}`, { method: 'POST', body: JSON.stringify(value) });
};

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
const exporter = new OTLPTraceExporter({ url: `${collector}/v1/traces` });
const tracers = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
trace.setGlobalTracerProvider(tracers);
const meters = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter({ url: `${collector}/v1/metrics` }),
      exportIntervalMillis: 3_600_000,
    }),
  ],
});
metrics.setGlobalMeterProvider(meters);
const instrumentation = new PgInstrumentation({ requireParentSpan: true });
instrumentation.setTracerProvider(tracers);
// Instrumentations hook into require(); the store's import() then finds the same module.
createRequire(import.meta.url)('pg');

/** What the SDK exports of its traces. */
const traced: (Trace | Span<SpanData>)[] = [];
setTraceProcessors([
  {
    onTraceStart: async (started) => void traced.push(started),
    onTraceEnd: async () => undefined,
    onSpanStart: async () => undefined,
    onSpanEnd: async (ended) => void traced.push(ended),
    shutdown: async () => undefined,
    forceFlush: async () => undefined,
  },
]);
process.on('warning', (warning) => {
  void send('warnings', { name: warning.name, message: warning.message });
});

await using store = openPostgres(url, { schema, maxConnections: 4 });
const keys = keyring({ current: JSON.parse(key) as JWK });
const runner = new Runner({ traceIncludeSensitiveData: false });
const vaults: Store = wrapStore(store, [observe(), encrypt({ keys })]);
const temporary = handleWhen(isTemporary);
const policy = wrap(
  retry(temporary, { maxAttempts: 1 }),
  circuitBreaker(temporary, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(5) }),
  bulkhead(8, 100),
);
const sessions = wrapStore(store, [
  observe(),
  audit({ sink: (event) => send('audit', event) }),
  authorize({ check: ({ sessionId }) => sessionId !== 'forbidden' }),
  attribute({ events: runner }),
  redact({
    operators: { DEFAULT: { type: 'pseudonymize', key: randomBytes(32) } },
    vault: (of) => vaults.session(derivedId({ kind: 'vault', of }), { derived: true }),
  }),
  minimize({ reasoning: true }),
  exclusive(),
  expire({ after: '30d' }),
  cache({ maxItems: 1_000 }),
  fallback((of) => vaults.session(of)),
  resilient({ policy }),
  encrypt({ keys }),
  observe(),
]);

const look = tool({
  name: 'look',
  description: 'Looks something up.',
  parameters: z.object({ query: z.string() }),
  execute: ({ query }) => {
    if (query === broken) throw new Error(`The service refused ${broken}`);
    return result;
  },
});
const agentFor = (query: string): Agent =>
  new Agent({
    name: 'Support',
    tools: [look],
    model: new ScriptedModel([
      modelResponder(() => [functionCall('look', { query }, { callId: `call-${crypto.randomUUID()}` })]),
      modelResponder(() => [assistantMessage(answer)]),
    ]),
  });

/** What fails says its name to whoever reads the errors. */
async function failing(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    await send('errors', 'it did not fail');
  } catch (error) {
    for (let each = error; each instanceof Error; each = each.cause) {
      await send('errors', { text: String(each), stack: each.stack, fields: Object.entries(each) });
    }
  }
}

await store.ping();
const session: Session = sessions.session(id);
await trace.getTracer('application').startActiveSpan('run', async (span) => {
  await runner.run(agentFor(argument), `${user} ${email}`, { session });
  await runner.run(agentFor(broken), user, { session });
  span.end();
});
await trace.getTracer('application').startActiveSpan('failures', async (span) => {
  await failing(() => sessions.session('forbidden').getItems());
  await failing(() =>
    session.addItems([{ role: 'user', content: user, providerData: { user: 1n } } as never]),
  );
  const wrong = keyring({ current: await generateKey() });
  await failing(() => wrapSession(store.session(id), [observe(), encrypt({ keys: wrong })]).getItems());
  const naked = wrapSession(new MemorySession({ initialItems: [{ role: 'user', content: user }] }), [
    observe(),
    encrypt({ keys }),
  ]);
  await failing(() => naked.getItems());
  await sessions.purgeExpired();
  span.end();
});
for (const item of traced) await send('agents', item.toJSON());
await tracers.forceFlush();
await meters.forceFlush();
await meters.shutdown();
await tracers.shutdown();
