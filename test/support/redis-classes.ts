import { createRequire } from 'node:module';

// The package redis makes a class with hundreds of commands for each client whose options differ from those of the client before
// it: 10 ms, and as much again for the garbage. Tests talk to many servers. Here it keeps every class that it made, by what the
// class depends on. A version of the package without this file makes them as it does for an application.

interface Options {
  readonly RESP?: unknown;
  readonly modules?: unknown;
  readonly functions?: unknown;
  readonly scripts?: unknown;
}

const classes = new WeakMap<object, Map<string, unknown>>();

Object.assign(cacheOfRedis() ?? {}, {
  get(this: object, options?: Options): unknown {
    return classes.get(this)?.get(keyOf(options));
  },
  set(this: object, options: Options | undefined, made: unknown): void {
    const known = classes.get(this) ?? new Map<string, unknown>();
    classes.set(this, known.set(keyOf(options), made));
  },
});

/** Of `redis` itself, which leaves functions out as well, without what differs from server to server. */
function keyOf({ RESP, modules, functions, scripts }: Options = {}): string {
  return JSON.stringify({ RESP, modules, functions, scripts });
}

/** The prototype of the cache that the package has for one class. */
function cacheOfRedis(): object | undefined {
  const redis = createRequire(createRequire(import.meta.url).resolve('redis'));
  try {
    const { default: cache } = redis('@redis/client/dist/lib/single-entry-cache.js') as {
      readonly default: { readonly prototype: object };
    };
    return cache.prototype;
  } catch {
    return undefined;
  }
}
