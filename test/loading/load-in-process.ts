/**
 * A process of its own, because the runtime remembers what it loaded: its first calls meet a module that cannot be
 * loaded, later ones meet it again. Prints what each call ended with.
 */
import { rmSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [what = '', how = ''] = process.argv.slice(2);
const item = { type: 'message', role: 'user', content: 'x' } as const;
// Nobody listens there: once the driver was loaded, the call fails with another error.
const nowhere = '127.0.0.1:9';
const file = join(tmpdir(), `strongroom-load-${process.pid}.db`);

interface Case {
  /** What the library imports. */
  readonly name: string;
  /** A part of the package, by a piece of its address, which is loaded while the package is. */
  readonly part: string;
  call(): Promise<() => Promise<unknown>>;
}

const CASES: Readonly<Record<string, Case>> = {
  redis: {
    name: 'redis',
    part: '/node_modules/@redis/client/',
    async call() {
      const { openRedis } = await import('../../src/stores/redis.ts');
      const store = openRedis(`redis://${nowhere}`, { timeout: '100ms' });
      return () => store.ping();
    },
  },
  postgres: {
    name: 'pg',
    part: '/node_modules/pg-pool/',
    async call() {
      const { openPostgres } = await import('../../src/stores/postgres.ts');
      const store = openPostgres(`postgres://u@${nowhere}/d`, { timeout: '1s' });
      return () => store.ping();
    },
  },
  mysql: {
    name: 'mysql2/promise',
    part: '/node_modules/long/',
    async call() {
      const { openMysql } = await import('../../src/stores/mysql.ts');
      const store = openMysql(`mysql://u@${nowhere}/d`, { timeout: '1s' });
      return () => store.ping();
    },
  },
  tokens: {
    name: 'gpt-tokenizer/encoding/o200k_base',
    part: '/node_modules/gpt-tokenizer/',
    async call() {
      const { o200kTokenCounter } = await import('../../src/history/o200k.ts');
      return () => o200kTokenCounter();
    },
  },
  aws: {
    name: '@aws-sdk/client-kms',
    part: '/node_modules/@smithy/core/',
    async call() {
      const { awsKms } = await import('../../src/kms/aws.ts');
      const refusal = Object.assign(new Error('nobody'), { name: 'LoadedException' });
      const client = { send: () => Promise.reject(refusal) };
      const kms = awsKms({
        client: client as never,
        keyId: '1234abcd-12ab-34cd-56ef-1234567890ab',
        attempts: 1,
      });
      return () => kms.wrap(new Uint8Array(32), { contextHash: 'a'.repeat(43) });
    },
  },
  observe: {
    name: '@opentelemetry/api',
    part: '/node_modules/@opentelemetry/api/',
    async call() {
      const { observe } = await import('../../src/layers/observe.ts');
      const { wrapSession } = await import('../../src/index.ts');
      const { openSqlite } = await import('../../src/stores/sqlite.ts');
      const session = wrapSession(openSqlite(':memory:').session('s'), [observe()]);
      return () => session.addItems([item]);
    },
  },
  sdk: {
    name: '@openai/agents',
    part: '/node_modules/@openai/agents-core/',
    async call() {
      const { openSqlite } = await import('../../src/stores/sqlite.ts');
      const session = openSqlite(':memory:').session('s');
      const transaction = { type: 'append_items' as const, items: [item] };
      return () => session.applyHistoryTransaction({ operationId: 'o', transaction });
    },
  },
  dekStore: {
    name: 'sqlite/dek-file',
    part: 'sqlite/dek-file',
    async call() {
      const { sqliteDekStore } = await import('../../src/stores/sqlite-dek-store.ts');
      const store = sqliteDekStore(file);
      return () => store.get('s', 'd');
    },
  },
};

const { name, part, ...rest } = CASES[what] as Case;
const call = await rest.call();
let broken = true;
function notFound(wanted: string): never {
  throw Object.assign(new Error(`Cannot find package '${wanted}' imported from here`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
}
registerHooks({
  resolve(specifier, context, next) {
    if (broken && how === 'missing' && specifier === name) {
      notFound(name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
    }
    return next(specifier, context);
  },
  load(url, context, next) {
    if (broken && how === 'incomplete' && url.includes(part)) notFound('something-else');
    if (broken && how === 'EMFILE' && url.includes(part)) {
      throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    }
    return next(url, context);
  },
});
const outcomes: unknown[] = [];
for (let attempt = 0; attempt < 4; attempt++) {
  broken = attempt < 2;
  try {
    await call();
    outcomes.push('done');
  } catch (error) {
    const { code, message, retryable } = error as { code?: string; message?: string; retryable?: boolean };
    outcomes.push({ code, message, retryable });
  }
}
rmSync(file, { force: true });
console.log(JSON.stringify(outcomes));
process.exit();
