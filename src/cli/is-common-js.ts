import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Whether Node.js takes files of this folder that end in `.ts` or `.js` for CommonJS: when the nearest `package.json` has
 * `"type": "commonjs"`, as `npm init` writes it. Without a `type`, Node.js looks at the syntax of each file.
 */
export function isCommonJs(folder: string): boolean {
  const file = join(folder, 'package.json');
  if (existsSync(file)) return typeIn(file) === 'commonjs';
  const above = dirname(folder);
  return above !== folder && isCommonJs(above);
}

function typeIn(file: string): unknown {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { readonly type?: unknown } | null)?.type;
  } catch {
    // Node.js names what is wrong with the file when it loads the configuration.
    return undefined;
  }
}
