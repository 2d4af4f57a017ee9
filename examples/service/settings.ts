/** The parts of the service as the environment describes them. */
import type { JWK } from 'jose';
import type { AuditEvent, Store } from 'strongroom';
import { openPostgres } from 'strongroom/postgres';
import { openRedis } from 'strongroom/redis';
import { openSqlite } from 'strongroom/sqlite';
import { agent, createRunner } from './agent.ts';
import type { Service } from './app.ts';
import { bearerTokens } from './callers.ts';
import { openConversations } from './conversations.ts';
import { createRuns } from './runs.ts';
import { tenantKeyrings, type TenantKeys } from './tenants.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The service, and the store below its layers, for maintenance that needs no keys. */
export interface FromEnvironment {
  readonly service: Service;
  readonly store: Store;
}

/**
 * - `SERVICE_KEYS`: `{"<tenant>": {"current": <JWK>, "previous": [<JWK>]}}`
 * - `SERVICE_TOKEN_KEY`: the JWK that checks tokens
 * - `DATABASE_URL`: `postgres://…`, `redis://…`, or the path of a SQLite file; default `conversations.db`
 */
export function fromEnvironment(environment: Environment = process.env): FromEnvironment {
  const store = openStore(environment['DATABASE_URL'] ?? 'conversations.db');
  const keys = JSON.parse(required(environment, 'SERVICE_KEYS')) as TenantKeys;
  return {
    store,
    service: {
      agent,
      runner: createRunner(),
      authenticate: bearerTokens(tokenKey(environment)),
      conversations: openConversations({ store, keysOf: tenantKeyrings(keys), sink: writeLine }),
      runs: createRuns(),
      ping: async () => store.ping(),
      onError: (error) => writeLine({ error: nameOf(error) }),
    },
  };
}

/** The key that signs tokens in the examples, and checks them. */
export function tokenKey(environment: Environment = process.env): JWK {
  return JSON.parse(required(environment, 'SERVICE_TOKEN_KEY')) as JWK;
}

function openStore(url: string): Store {
  if (/^postgres(ql)?:/.test(url)) return openPostgres(url);
  if (/^rediss?:/.test(url)) return openRedis(url);
  return openSqlite(url);
}

function required(environment: Environment, name: string): string {
  const value = environment[name];
  if (value === undefined) {
    throw new Error(`${name} is not set. Run setup.ts once: it writes a file with every setting.`);
  }
  return value;
}

/** The name or code of an error: its message may hold what a model provider answered. */
function nameOf(error: unknown): string {
  return error instanceof Error ? ((error as { code?: string }).code ?? error.name) : typeof error;
}

function writeLine(line: AuditEvent | { readonly error: string }): void {
  console.log(JSON.stringify(line));
}
