import { warn } from '../warning.ts';

/** Returns a function that emits each message once a process. */
export function createWarnOnce(code: string, where: string): (message: string) => void {
  const said = new Set<string>();
  return (message) => {
    if (said.has(message)) return;
    said.add(message);
    warn(code, `${where}: ${message}`);
  };
}
