/**
 * The floor plan: a file imports from its own room and from rooms on lower floors, never from above and never from
 * another room on the same floor. Imports of types count too, because a reader follows them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

const SOURCES = resolve(import.meta.dirname, '../src');

/** From the top down. A room is a folder of `src`, or a file that stands directly in it. */
export const FLOORS: readonly (readonly string[])[] = [
  ['cli'],
  ['index.ts'],
  ['testing'],
  ['config', 'report'],
  ['operations'],
  ['wrap-store.ts'],
  ['wrap-session.ts'],
  ['layers', 'compliance-run-config.ts'],
  ['stores'],
  ['history', 'redaction'],
  ['engine', 'kms'],
  ['protocol', 'renew-lease.ts'],
  ['session-contract.ts', 'queue.ts'],
  ['layer.ts'],
  ['keys'],
  ['context.ts', 'derived-id.ts'],
  ['limits.ts'],
  [
    'crypto',
    'load-sdk.ts',
    'load-jose.ts',
    'bounded-map.ts',
    'identities.ts',
    'slices.ts',
    'warning.ts',
    'error-name.ts',
    'clock.ts',
    'policy.ts',
  ],
  ['load-module.ts', 'options.ts', 'defined.ts', 'get-or-make.ts', 'maybe-promise.ts', 'file-lines.ts'],
  ['errors.ts'],
];

/** The files of a folder and what each imports from the project, as paths relative to that folder. */
export type Imports = ReadonlyMap<string, readonly string[]>;

export function importsUnder(folder: string = SOURCES): Imports {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return new Map(files.map((file) => [file, importsOf(folder, file)]));
}

function importsOf(folder: string, file: string): string[] {
  const found: string[] = [];
  const add = (specifier: ts.Node | undefined): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier) || !specifier.text.startsWith('.'))
      return;
    found.push(relative(folder, join(folder, dirname(file), specifier.text)));
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0]);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(join(folder, file), 'utf8'), ts.ScriptTarget.Latest));
  return found;
}

/** Violations of the floor plan, one line a finding. */
export function floorViolations(imports: Imports, floors: typeof FLOORS = FLOORS): string[] {
  const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)));
  return [...imports].flatMap(([file, targets]) => {
    const room = roomOf(file);
    const floor = floorOf.get(room);
    if (floor === undefined) return [`${file}: tools/floors.ts has no floor for ${room}.`];
    return targets.flatMap((target) => {
      const other = roomOf(target);
      const below = floorOf.get(other);
      if (other === room || below === undefined || below > floor) return [];
      return [
        `${file}: imports ${target}, which stands ${below === floor ? 'on the same floor' : 'above it'}.`,
      ];
    });
  });
}

/** Files that import each other in a circle, one line a circle. */
export function circles(imports: Imports): string[] {
  const found: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const way: string[] = [];
  const visit = (file: string): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      found.push([...way.slice(way.indexOf(file)), file].join(' → '));
      return;
    }
    state.set(file, 'open');
    way.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    way.pop();
    state.set(file, 'done');
  };
  for (const file of imports.keys()) visit(file);
  return found;
}

function roomOf(file: string): string {
  return file.split('/', 1)[0] as string;
}
