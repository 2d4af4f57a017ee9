/**
 * Uses the package as a user gets it: packs the tarball, installs it into an empty project beside the SDK, type-checks every
 * code block of the README and of docs/getting-started.md under strict TypeScript, runs the one that needs no key and every entry
 * point as ESM and from CommonJS, on this Node and on the oldest one that `engines` allows.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  engines: { node: string };
  devDependencies: Record<string, string>;
  exports: Record<string, unknown>;
};
const oldestNode = /\d+\.\d+/.exec(manifest.engines.node)?.[0] as string;

function step(what: string, command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 300_000 });
  if (status !== 0) {
    console.error(`FAILED  ${what}\n$ ${command} ${args.join(' ')}\n${stdout}${stderr}`);
    process.exit(1);
  }
  console.log(`passed  ${what}`);
  return stdout;
}

const folder = mkdtempSync(join(tmpdir(), 'strongroom-consumer-'));
try {
  const project = join(folder, 'project');
  const oldNode = join(folder, 'old-node');
  mkdirSync(project);
  mkdirSync(oldNode);

  // As in a fresh clone: packing runs the build.
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
  step('pack the tarball', 'npm', ['pack', '--pack-destination', folder], ROOT);
  const tarball = join(folder, `strongroom-${manifest.version}.tgz`);
  const versions = manifest.devDependencies;
  // `strongroom/observe` is OpenTelemetry's API and imports it; every other optional peer is loaded when it is used, so
  // the entry points must load without them.
  const beside = ['@openai/agents', '@opentelemetry/api', 'typescript', '@types/node'];
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'project', private: true, type: 'module' }),
  );
  step(
    'install it into an empty project',
    'npm',
    ['install', tarball, ...beside.map((name) => `${name}@${versions[name]}`)],
    project,
  );

  for (const paper of ['README.md', 'docs/getting-started.md']) {
    const blocks = readFileSync(join(ROOT, paper), 'utf8').matchAll(/```ts\n(?<code>[\s\S]*?)```/g);
    for (const [index, { groups }] of [...blocks].entries()) {
      writeFileSync(join(project, `${basename(paper, '.md')}-${index}.ts`), groups?.['code'] as string);
    }
  }
  const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json');
  const specifiers = entries.map((entry) => `strongroom${entry.slice(1)}`);
  writeFileSync(
    join(project, 'every-entry.ts'),
    `${specifiers.map((specifier, index) => `import * as entry${index} from '${specifier}';`).join('\n')}\n` +
      `console.log([${specifiers.map((_, index) => `Object.keys(entry${index}).length`).join(', ')}]);\n`,
  );
  writeFileSync(
    join(project, 'common.cjs'),
    `for (const name of ${JSON.stringify(specifiers)}) {\n` +
      `  if (Object.keys(require(name)).length === 0) throw new Error(name + ' exports nothing');\n}\n` +
      `console.log(typeof require('strongroom').wrapSession);\n`,
  );
  const strict = {
    target: 'ES2023',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // The SDK's own declarations have errors without it; ours are checked through their use here and by attw.
    skipLibCheck: true,
    types: ['node'],
    outDir: 'out',
  };
  for (const [module, moduleResolution] of [
    ['Preserve', 'Bundler'],
    ['NodeNext', 'NodeNext'],
  ]) {
    const options = { compilerOptions: { ...strict, module, moduleResolution }, include: ['*.ts'] };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(options));
    step(`type-check the papers (${moduleResolution})`, 'npx', ['tsc'], project);
  }

  step('run the command line', 'npx', ['strongroom', '--help'], project);
  step('write a configuration', 'npx', ['strongroom', 'init', '--mjs'], project);
  const found = step('look at the new store', 'npx', ['strongroom', 'doctor'], project);
  if (!found.includes('"errors":0,"warnings":0')) throw new Error(`strongroom doctor found: ${found}`);

  // `node` is an ordinary package whose install script links the binary; npm requires permission for that.
  writeFileSync(
    join(oldNode, 'package.json'),
    JSON.stringify({ private: true, allowScripts: { node: true } }),
  );
  step(`install Node ${oldestNode}`, 'npm', ['install', `node@${oldestNode}`], oldNode);
  // What `node:sqlite` of the oldest Node.js cannot do shows nowhere else.
  writeFileSync(
    join(project, 'contract.test.mjs'),
    `import { describe, test } from 'node:test';
import { openSqlite } from 'strongroom/sqlite';
import { storeContract } from 'strongroom/testing';
storeContract({ describe, test }, { open: () => openSqlite('contract.db') });
`,
  );
  const nodes = [process.execPath, join(oldNode, 'node_modules', 'node', 'bin', 'node')];
  for (const node of nodes) {
    const version = step('ask the version', node, ['--version'], project).trim();
    for (const file of ['getting-started-0.ts', 'every-entry.ts']) {
      const built = join('out', file.replace(/\.ts$/, '.js'));
      const printed = step(
        `${version}: run ${file}`,
        node,
        ['--disable-warning=ExperimentalWarning', built],
        project,
      );
      if (printed.trim() === '') throw new Error(`${file} printed nothing.`);
    }
    step(
      `${version}: run the command line`,
      node,
      ['node_modules/strongroom/dist/cli/main.js', 'verify'],
      project,
    );
    step(
      `${version}: the contract of stores on openSqlite`,
      node,
      ['--disable-warning=ExperimentalWarning', '--test', 'contract.test.mjs'],
      project,
    );
    const kind = step(`${version}: require() from CommonJS`, node, ['common.cjs'], project).trim();
    if (kind !== 'function') throw new Error(`require('strongroom').wrapSession is a ${kind}.`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
