import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recordUsage } from '../../src/history/index.ts';
import { encrypt, keyring, wrapStore } from '../../src/index.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { assertNoPlaintext } from '../../src/testing/plaintext.ts';
import { dropPostgresSchema } from '../stores/cleaning.ts';
import { announce, uniqueName } from '../stores/servers.ts';
import { startWriter } from '../stores/writer.ts';
import { projectWith } from '../support/built-cli.ts';
import type { Said } from './observed.ts';

const { url, absent } = await announce('PostgreSQL', 'a run that is observed from run() to the database');

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string };
}
interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly Attribute[];
}
interface Traces {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}
interface Metrics {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string;
        readonly sum?: { readonly dataPoints: readonly Point[] };
      }[];
    }[];
  }[];
}
interface Point {
  readonly asDouble?: number;
  readonly asInt?: number | string;
  readonly attributes: readonly Attribute[];
}
interface AgentsItem {
  readonly object: 'trace' | 'trace.span';
  readonly id: string;
  readonly trace_id?: string;
  readonly parent_id?: string | null;
  readonly span_data?: {
    readonly type: string;
    readonly name?: string;
    readonly data?: Record<string, unknown>;
  };
}

/** A word that occurs nowhere else. */
const canary = (what: string): string => `${what} canary ${randomBytes(12).toString('hex')}`;

describe.skipIf(absent)('a run with every layer on, observed by a collector', () => {
  const schema = uniqueName('observed');
  const said: Said = {
    id: `user-${randomBytes(8).toString('hex')}`,
    user: `My landlord ignores the mould in my bedroom, ${canary('user')}`,
    argument: `tenancy law about mould, ${canary('argument')}`,
    result: `The tenant may reduce the rent by a fifth, ${canary('result')}`,
    answer: `You may reduce your rent, and here is how, ${canary('answer')}`,
    broken: `the case that no court has decided, ${canary('broken')}`,
    email: `ada.${randomBytes(8).toString('hex')}@example.com`,
  };
  let received: readonly { readonly path: string; readonly body: string }[] = [];
  let log = '';
  let key: Awaited<ReturnType<typeof generateKey>>;

  const bodies = <T>(path: string): T[] =>
    received.filter((each) => each.path === path).map(({ body }) => JSON.parse(body) as T);
  const spans = (): Span[] =>
    bodies<Traces>('/v1/traces').flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
    );
  const attributeOf = (of: { readonly attributes: readonly Attribute[] }, key: string): unknown => {
    const value = of.attributes.find((each) => each.key === key)?.value;
    return value?.stringValue ?? Number(value?.intValue);
  };
  /** The sum of a counter by one attribute. */
  const sums = (name: string, by: string): Record<string, number> => {
    const found: Record<string, number> = {};
    for (const { resourceMetrics } of bodies<Metrics>('/v1/metrics').slice(-1)) {
      for (const metric of resourceMetrics
        .flatMap(({ scopeMetrics }) => scopeMetrics)
        .flatMap((s) => s.metrics)) {
        if (metric.name !== name) continue;
        for (const point of metric.sum?.dataPoints ?? []) {
          const key = String(attributeOf(point, by));
          found[key] = (found[key] ?? 0) + Number(point.asDouble ?? point.asInt);
        }
      }
    }
    return found;
  };

  beforeAll(async () => {
    key = await generateKey();
    const collector = startWriter(new URL('collector.ts', import.meta.url), []);
    await collector.reached(1);
    const address = `http://127.0.0.1:${collector.lines()[0] ?? ''}`;
    const program = fileURLToPath(new URL('observed-process.ts', import.meta.url));
    // All that the SDK logs, and all warnings, are on its standard output and error.
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        program,
        address,
        url,
        schema,
        JSON.stringify(key),
        JSON.stringify(said),
      ],
      // In tests the SDK does not trace.
      { env: { ...process.env, DEBUG: 'openai-agents*', NODE_ENV: 'production' } },
    );
    log = stdout + stderr;
    collector.kill();
    await collector.ended;
    received = collector
      .lines()
      .slice(1)
      .map((line) => ({ path: line.slice(0, line.indexOf(' ')), body: line.slice(line.indexOf(' ') + 1) }));
  });
  afterAll(async () => dropPostgresSchema(url, schema));

  /** The names from a span up to the root of its trace. */
  const pathOf = (span: Span): string[] => {
    const byId = new Map(spans().map((each) => [each.spanId, each]));
    const path: string[] = [];
    for (let each: Span | undefined = span; each !== undefined;) {
      path.push(each.name);
      each = byId.get(each.parentSpanId ?? '');
    }
    return path;
  };

  test('is one trace, from run() through the layers to the database', () => {
    const all = spans();
    const root = all.find(({ name }) => name === 'run');
    const ofRun = all.filter(({ traceId }) => traceId === root?.traceId);
    expect(new Set(ofRun.map((span) => pathOf(span).at(-1)))).toEqual(new Set(['run']));
    const queries = ofRun.filter(({ name }) => name.startsWith('pg.query'));
    const paths = new Set(queries.map((span) => pathOf(span).slice(1).join(' < ')));
    // The outer observe(), the inner one, the database.
    expect(paths).toContain('session getItems < session getItems < run');
    expect(paths).toContain('session addItems < session addItems < run');
    // The vault of redact() is in the call that writes to it.
    expect(paths).toContain('session addItems < session addItems < session addItems < run');
    // All the rest belongs to the other span of the application.
    expect(new Set(all.map((span) => pathOf(span).at(-1)))).toEqual(new Set(['run', 'failures']));
  });

  test('is in the traces of the SDK, too', () => {
    const items = bodies<AgentsItem>('/agents');
    const [trace] = items.filter(({ object }) => object === 'trace');
    const custom = items.filter(
      ({ trace_id, span_data }) => trace_id === trace?.id && span_data?.name?.startsWith('session ') === true,
    );
    const ids = new Set(items.map(({ id }) => id));
    expect(custom.map(({ span_data }) => span_data?.name)).toContain('session getItems');
    expect(custom.map(({ span_data }) => span_data?.name)).toContain('session addItems');
    expect(custom.filter(({ parent_id }) => parent_id !== null && !ids.has(parent_id ?? ''))).toEqual([]);
    const shown = custom.map(({ span_data }) => span_data?.data);
    const ofConversation = expect.objectContaining({
      'strongroom.session.type': 'postgres',
      'strongroom.session.kind': 'conversation',
      'gen_ai.conversation.id': expect.stringMatching(/^[\w-]{16}$/),
    });
    expect(shown).toContainEqual(ofConversation);
  });

  test('counts the work of the layers once, and failures by reason', () => {
    // Two runs of four items, and three uses of values in the vault.
    expect(sums('strongroom.records.sealed', 'strongroom.operation')['addItems']).toBeGreaterThanOrEqual(8);
    expect(sums('strongroom.cache.misses', 'strongroom.operation')).toEqual({ getItems: 1 });
    expect(sums('strongroom.cache.hits', 'strongroom.operation')).toEqual({ getItems: 1 });
    expect(sums('strongroom.redactions', 'strongroom.entity')).toEqual({ EMAIL_ADDRESS: 1 });
    expect(sums('strongroom.failures', 'error.type')).toMatchObject({
      ERR_ACCESS_DENIED: 1,
      ERR_KEY_UNKNOWN: 1,
      ERR_NOT_SEALED: 1,
    });
  });

  test('leaves nothing of the conversation in traces, metrics, logs, audit, errors and warnings', () => {
    const paths = new Set(received.map(({ path }) => path));
    expect(paths).toEqual(new Set(['/v1/traces', '/v1/metrics', '/agents', '/audit', '/errors']));
    expect(bodies('/errors')).not.toContain('it did not fail');
    expect(log).toMatch(/Invoking tool look/);
    const { id, ...texts } = said;
    const everything = `${received.map(({ body }) => body).join('\n')}\n${log}`;
    // Canaries, and no 12 characters of any text, as they are and in Base64 at every alignment.
    assertNoPlaintext(everything, Object.values(texts));
    const unnamed = received.filter(({ path }) => path !== '/audit' && path !== '/errors');
    expect(unnamed.filter(({ body }) => body.includes(id))).toEqual([]);
  });

  test('leaves nothing of the conversation in what the command line prints about its database', async () => {
    const { id, ...texts } = said;
    const keys = (file: string): string => `
import { encrypt } from 'strongroom';
import { defineConfig } from 'strongroom/config';
import { openPostgres } from 'strongroom/postgres';
export default defineConfig({
  store: () => openPostgres(process.env.URL, { schema: process.env.SCHEMA }),
  keys: { current: { file: '${file}' } },
  layers: ({ keys }) => [encrypt({ keys })],
  retention: { expired: true },
  auditLog: 'audit.jsonl',
});`;
    const project = await projectWith(keys('key.json'));
    await project.write('key.json', JSON.stringify(key));
    await project.write('wrong.json', JSON.stringify(await generateKey()));
    await project.write('wrong.config.mjs', keys('wrong.json'));
    await project.write(
      'audit.jsonl',
      bodies('/audit')
        .map((event) => JSON.stringify(event))
        .join('\n'),
    );
    await using store = openPostgres(url, { schema });
    const session = wrapStore(store, [encrypt({ keys: keyring({ current: key }) })]).session(id);
    const usage = { requests: 1, inputTokens: 120, outputTokens: 30, totalTokens: 150 };
    await recordUsage(session, { state: { usage }, rawResponses: [] });

    const env = { URL: url, SCHEMA: schema, DEBUG: 'openai-agents*', NODE_ENV: 'production' };
    expect(await project.run(['branches', 'create', id, 'second'], { env })).toMatchObject({ code: 0 });
    const wrongKey = ['-c', 'wrong.config.mjs'];
    // Each with and without a terminal, its exit code, and a text that shows that the command found the conversation.
    const commands: readonly [readonly string[], number, string][] = [
      [['doctor', '--all'], 3, 'complianceRunConfig()'],
      [['sessions', '--all'], 0, `~vault~~${id}`],
      // With the record of the vault.
      [['verify'], 0, '19'],
      [['inspect', id], 0, key.kid as string],
      [['usage', id], 0, '120'],
      [['branches', 'list', id], 0, 'second'],
      [['report'], 3, '1 conversation has no subject'],
      [['verify', ...wrongKey], 3, 'ERR_KEY_UNKNOWN'],
      [['inspect', id, '--items', ...wrongKey], 1, 'ERR_KEY_UNKNOWN'],
    ];
    let printed = '';
    for (const [args, code, text] of commands) {
      const both = [project.run(args, { env }), project.terminal(args, { env }).finished];
      for (const { code: ended, stdout, stderr } of await Promise.all(both)) {
        expect({ args, ended }).toEqual({ args, ended: code });
        expect(stdout + stderr).toContain(text);
        printed += stdout + stderr;
      }
    }
    assertNoPlaintext(printed, Object.values(texts));
    // With the key, and only because the items are asked for, they are printed: there was something to find.
    const { stdout } = await project.run(['inspect', id, '--items'], { env });
    expect(stdout).toContain(said.answer);
    expect(() => assertNoPlaintext(stdout, Object.values(texts))).toThrow('Plaintext in the store');
  });
});
