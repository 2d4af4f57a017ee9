import { StrongroomError, type ErrorCode } from './errors.ts';

/** How often each module failed to load: a runtime remembers a failure under its address. */
const failures = new Map<string, number>();

/**
 * Loads an optional package. A failure is not kept: runtimes remember a failed `import()` for the life of the
 * process (one `EMFILE` is enough), so the next call asks for the module under another address.
 *
 * @param name As in the `import()` that `load` does, or the URL of a module of ours.
 * @param missing What to do when the package is not installed: the whole message of the error.
 * @param code Of the error when the package is not installed.
 * @throws {@link StrongroomError} `code` when the package is not there; `ERR_LOAD` when it is and cannot be loaded now.
 */
export async function loadModule<T>(
  name: string,
  load: () => Promise<T>,
  missing: string,
  code: ErrorCode = 'ERR_UNSUPPORTED',
): Promise<T> {
  const before = failures.get(name) ?? 0;
  try {
    return before === 0 ? await load() : await loadAgain<T>(name, load, before);
  } catch (cause) {
    if (isMissing(cause, name)) throw new StrongroomError(code, missing, { cause });
    failures.set(name, before + 1);
    throw new StrongroomError(
      'ERR_LOAD',
      `${shown(name)} is installed but could not be loaded; see the cause. Nothing was changed: repeat the call.`,
      { cause, written: 'no' },
    );
  }
}

interface ModuleBuiltin {
  createRequire(from: string): (name: string) => unknown;
}
interface ProcessLike {
  getBuiltinModule?(name: string): unknown;
}

async function loadAgain<T>(name: string, load: () => Promise<T>, attempt: number): Promise<T> {
  const { resolve, url: here } = import.meta as { resolve?: (name: string) => string; url: string };
  // Runtimes without it (and bundles) load no file whose loading could fail temporarily.
  if (typeof resolve !== 'function') return load();
  const url = `${resolve(name)}?attempt=${attempt}`;
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ url)) as T;
  } catch (error) {
    // The runtime may remember the failure of a part of the package. `require()` does not, and can load all our
    // packages.
    const { process } = globalThis as { process?: ProcessLike };
    const builtin = process?.getBuiltinModule?.('node:module') as ModuleBuiltin | undefined;
    if (builtin === undefined || name.includes(':')) throw error;
    return builtin.createRequire(here)(name) as T;
  }
}

/** Whether this package was not found, and not a dependency of it. */
function isMissing(error: unknown, name: string): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return false;
  const wanted = /(?:package|module) '([^']+)'/.exec(String(message))?.[1];
  return wanted !== undefined && (wanted === name || wanted === packageOf(name));
}

function packageOf(name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/');
}

function shown(name: string): string {
  return name.includes(':') ? 'A module of strongroom' : `The package ${packageOf(name)}`;
}
