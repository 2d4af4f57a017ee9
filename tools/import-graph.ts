/**
 * Checks that each entry point of `dist` loads only the allowed packages. Every import costs an edge runtime, a
 * bundle and a cold start, and an auditor has to read it: the core has no `node:` import, no driver, no SDK.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { circles, floorViolations, importsUnder } from './floors.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** The import graph of one file. */
export interface ImportGraph {
  /** Files of the package, relative to its root. */
  readonly files: readonly string[];
  /** Specifiers of other packages and of Node that are loaded at once. */
  readonly eager: ReadonlySet<string>;
  /** Specifiers that are loaded when a function that needs them runs (`import()`). */
  readonly lazy: ReadonlySet<string>;
}

/** Everything that loading `entry` loads. */
export function importGraph(entry: string): ImportGraph {
  const seen = new Set<string>();
  const eager = new Set<string>();
  const lazy = new Set<string>();
  // Imports of a lazily loaded file of ours are lazy, too; files that are also loaded eagerly are visited first.
  const atOnce = [resolve(ROOT, entry)];
  const later: string[] = [];
  for (;;) {
    const file = atOnce.pop();
    const deferred = file === undefined ? later.pop() : undefined;
    const next = file ?? deferred;
    if (next === undefined) break;
    if (seen.has(next)) continue;
    seen.add(next);
    for (const { specifier, dynamic } of importsOf(next)) {
      const isLazy = dynamic || deferred !== undefined;
      if (specifier.startsWith('.')) (isLazy ? later : atOnce).push(join(dirname(next), specifier));
      else (isLazy ? lazy : eager).add(specifier);
    }
  }
  return { files: Array.from(seen, (file) => relative(ROOT, file)), eager, lazy };
}

interface Import {
  readonly specifier: string;
  readonly dynamic: boolean;
}

// Entry points share most of their files.
const known = new Map<string, readonly Import[]>();

function importsOf(file: string): readonly Import[] {
  const before = known.get(file);
  if (before !== undefined) return before;
  const found: Import[] = [];
  known.set(file, found);
  const visit = (node: ts.Node): void => {
    if (isTypeOnly(node)) return;
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier !== undefined
    ) {
      found.push({ specifier: (node.moduleSpecifier as ts.StringLiteral).text, dynamic: false });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      // It loads modules again that other files named.
      if (/[/\\]load-module\.[jt]s$/.test(file)) return;
      const [argument] = node.arguments;
      const literal = argument !== undefined && ts.isStringLiteralLike(argument);
      found.push({
        specifier: literal ? argument.text : `<computed in ${relative(ROOT, file)}>`,
        dynamic: true,
      });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest));
  return found;
}

/** Imports of types are removed from the code. */
function isTypeOnly(node: ts.Node): boolean {
  return ts.isImportDeclaration(node)
    ? node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
    : ts.isExportDeclaration(node) && node.isTypeOnly;
}

/** Code that seals loads it late, for small texts. */
const SODIUM = 'libsodium';
const CORE = ['@noble/ciphers', '@noble/hashes', 'lru-cache'] as const;

/** Which packages an entry point may load at once and lazily; `node` means the modules of Node itself. */
const RULES: Readonly<Record<string, { eager: readonly string[]; lazy: readonly string[] }>> = {
  '.': { eager: CORE, lazy: ['jose', '@openai/agents'] },
  './history': { eager: ['@noble/hashes'], lazy: ['gpt-tokenizer', '@openai/agents'] },
  // The SDK parses the arguments of its own tools for their approval policies.
  './redaction': { eager: ['@noble/hashes'], lazy: ['@openai/agents'] },
  './keys': { eager: CORE, lazy: ['@openai/agents', 'node'] },
  './observe': { eager: ['@noble/hashes'], lazy: ['@opentelemetry/api', '@openai/agents'] },
  './resilience': { eager: ['cockatiel'], lazy: [] },
  './transfer': { eager: ['@noble/hashes'], lazy: [] },
  // Writes through the layers of the target; reads by the driver of the database that Python wrote.
  './python': { eager: CORE, lazy: ['@openai/agents', 'jose', 'node', 'pg', 'mysql2'] },
  // An erasure goes through the layers of a wrapped store, and signs its receipt.
  './retention': { eager: ['@noble/hashes'], lazy: ['jose', '@openai/agents'] },
  // The stores use the SDK's error messages, and need Node's own modules.
  './sqlite': { eager: [...CORE, 'node'], lazy: ['@openai/agents'] },
  // Over a driver of the caller's, on any runtime.
  './stores': { eager: CORE, lazy: ['@openai/agents'] },
  // Drivers are loaded when a store connects, and only from the entry point that is named after the database.
  './postgres': { eager: [...CORE, 'node'], lazy: ['@openai/agents', 'pg'] },
  './dapr': { eager: CORE, lazy: ['@openai/agents'] },
  './lakebase': { eager: [...CORE, 'node'], lazy: ['@openai/agents', 'pg'] },
  './mysql': { eager: [...CORE, 'node'], lazy: ['@openai/agents', 'mysql2'] },
  './redis': { eager: [...CORE, 'node'], lazy: ['@openai/agents', 'redis'] },
  // Calls of a key service are repeated by cockatiel.
  './kms/aws': { eager: [...CORE, 'cockatiel'], lazy: ['jose', '@aws-sdk/client-kms'] },
  // The client is the caller's; only its types are imported.
  './kms/azure': { eager: [...CORE, 'cockatiel'], lazy: ['jose'] },
  './kms/gcp': { eager: [...CORE, 'cockatiel'], lazy: ['jose'] },
  './kms/vault': { eager: [...CORE, 'cockatiel'], lazy: ['jose'] },
  './kms/pkcs11': { eager: [...CORE, 'cockatiel', 'node'], lazy: ['jose'] },
  // It reads and writes audit logs.
  './report': { eager: [...CORE, 'node'], lazy: ['jose', '@openai/agents'] },
  // One file for the application and for the command line: key files are read with Node's own module.
  './config': { eager: [...CORE, 'node'], lazy: ['jose', '@openai/agents'] },
  './testing': { eager: [...CORE, 'cockatiel', 'node', '@openai/agents'], lazy: ['jose', '@openai/agents'] },
};

/** Entry points that load more than allowed, one line a finding: of the sources, or of the build. */
export function violations(of: 'strongroom-source' | 'default'): string[] {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, string | Record<typeof of, string>>;
  };
  return Object.entries(exports).flatMap(([entry, target]) => {
    if (typeof target === 'string') return [];
    const rule = RULES[entry];
    if (rule === undefined) return [`${entry}: no rule in tools/import-graph.ts says what it may load.`];
    const graph = importGraph(target[of]);
    return [
      ...excess(entry, 'at once', graph.eager, rule.eager),
      ...excess(entry, 'lazily', graph.lazy, [
        ...rule.eager,
        ...rule.lazy,
        ...(rule.eager.includes('@noble/ciphers') ? [SODIUM] : []),
      ]),
    ];
  });
}

function excess(
  entry: string,
  when: string,
  found: ReadonlySet<string>,
  allowed: readonly string[],
): string[] {
  return [...found]
    .filter((specifier) => !allowed.includes(packageOf(specifier)))
    .map((specifier) => `${entry}: loads ${specifier} ${when}, and may not.`);
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node';
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

if (import.meta.main) {
  const imports = importsUnder();
  const found = [
    ...violations('default'),
    ...floorViolations(imports),
    ...circles(imports).map((way) => `circle: ${way}`),
  ];
  for (const finding of found) console.error(finding);
  if (found.length > 0) process.exitCode = 1;
  const { files, eager } = importGraph('dist/index.js');
  console.log(
    `dist/index.js: ${files.length} files, loads ${[...eager].toSorted().join(', ') || 'nothing else'}.`,
  );
}
