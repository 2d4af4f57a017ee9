import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { getOrMake } from '../../src/get-or-make.ts';

interface Module {
  readonly code: string;
  readonly names: Readonly<Record<string, string>>;
}

/**
 * A startup snapshot of Node (`--build-snapshot`) with modules of ours and what they import, which the builder cannot
 * load by itself: it knows no files but one.
 *
 * @param body Runs while the snapshot is built, with `load(name)` for the modules. It gives a function from a text to
 * a text, which each process runs that is started from the snapshot.
 */
export function startupSnapshot(
  modules: Readonly<Record<string, URL>>,
  body: string,
): { run(argument: string): string; remove(): void } {
  const found = new Map<string, Module>();
  for (const url of Object.values(modules)) collect(url.href, found);
  const names = Object.fromEntries(Object.entries(modules).map(([name, url]) => [name, url.href]));
  const factories = [...found].map(
    ([url, { code, names: known }]) =>
      `${JSON.stringify(url)}: [(require, exports, module) => {${code}\n}, ${JSON.stringify(known)}]`,
  );
  const script = `
    const factories = {${factories.join(',\n')}};
    const loaded = {};
    const loadUrl = (url) => {
      if (loaded[url] === undefined) {
        loaded[url] = { exports: {} };
        const [factory, names] = factories[url];
        factory((name) => (names[name] === undefined ? require(name) : loadUrl(names[name])), loaded[url].exports, loaded[url]);
      }
      return loaded[url].exports;
    };
    const load = (name) => loadUrl(${JSON.stringify(names)}[name]);
    const work = (() => {${body}})();
    require('node:v8').startupSnapshot.setDeserializeMainFunction(() => console.log(work(process.argv.at(-1))));`;
  const path = join(tmpdir(), `strongroom-snapshot-${process.pid}-${Date.now()}`);
  writeFileSync(`${path}.js`, script);
  execFileSync(process.execPath, ['--snapshot-blob', `${path}.blob`, '--build-snapshot', `${path}.js`]);
  rmSync(`${path}.js`);
  return {
    run: (argument) =>
      execFileSync(process.execPath, ['--snapshot-blob', `${path}.blob`, argument])
        .toString()
        .trim(),
    remove: () => rmSync(`${path}.blob`),
  };
}

/** By their addresses: the next snapshot of the process does not read them again. */
const modulesRead = new Map<string, Module>();

function collect(url: string, found: Map<string, Module>): void {
  if (found.has(url)) return;
  const module = getOrMake(modulesRead, url, () => read(url));
  found.set(url, module);
  for (const next of Object.values(module.names)) collect(next, found);
}

function read(url: string): Module {
  const source = readFileSync(fileURLToPath(url), 'utf8');
  // CommonJS stays as it is: to transpile the 900 kB of libsodium takes seconds and changes nothing.
  const isEsModule = /^(?:import|export)\b/m.test(source);
  const code = isEsModule ? commonJsOf(source) : source;
  const names: Record<string, string> = {};
  for (const [, name] of code.matchAll(/require\(["']([^"']+)["']\)/g) as Iterable<[string, string]>) {
    if (isBuiltin(name)) continue;
    const path = name.startsWith('.') ? new URL(name, url) : pathToFileURL(createRequire(url).resolve(name));
    names[name] = path.href;
  }
  // A snapshot has no address of its own.
  return { code: code.replaceAll('import.meta', '({})'), names };
}

function commonJsOf(source: string): string {
  return ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 },
  }).outputText;
}
