/** Compiles every `@example` of the sources as a separate file: each must type-check, imports included. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

const ROOT = resolve(import.meta.dirname, '..');

/** One `@example` block. */
export interface DocstringExample {
  /** `file:line` of the block. */
  readonly where: string;
  readonly code: string;
}

/** All `ts` blocks in the doc comments of `src`. */
export function docstringExamples(): DocstringExample[] {
  return globSync('src/**/*.ts', { cwd: ROOT }).flatMap((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    return Array.from(
      text.matchAll(/^[ \t]*\* ```ts\n([\s\S]*?)^[ \t]*\* ```$/gm),
      ({ 1: body = '', index }) => ({
        where: `${file}:${text.slice(0, index).split('\n').length}`,
        code: body.replaceAll(/^[ \t]*\* ?/gm, ''),
      }),
    );
  });
}

/** The compiler's findings, one line each. */
export function docstringFindings(): string[] {
  const parsed = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)).config,
    ts.sys,
    ROOT,
  );
  // Examples are read by users, whose files need no explicit return types.
  const options: ts.CompilerOptions = { ...parsed.options, isolatedDeclarations: false, declaration: false };
  const examples = new Map(
    docstringExamples().map((example, index) => [join(ROOT, 'examples', `docstring-${index}.ts`), example]),
  );
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (file) => examples.has(file) || disk.fileExists(file),
    readFile: (file) => examples.get(file)?.code ?? disk.readFile(file),
    getSourceFile: (file, ...rest) => {
      const example = examples.get(file);
      return example === undefined
        ? disk.getSourceFile(file, ...rest)
        : ts.createSourceFile(file, `${example.code}\nexport {};\n`, ts.ScriptTarget.Latest, true);
    },
  };
  const program = ts.createProgram([...examples.keys()], options, host);
  return [...examples].flatMap(([file, { where }]) => {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map((finding) => `${where}: ${ts.flattenDiagnosticMessageText(finding.messageText, ' ')}`);
  });
}

if (import.meta.main) {
  const found = docstringFindings();
  for (const finding of found) console.error(finding);
  if (found.length > 0) process.exitCode = 1;
  console.log(`${docstringExamples().length} examples in docstrings, ${found.length} findings.`);
}
